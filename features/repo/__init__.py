"""The Feast repository, standing alone: definitions that `feast` commands read, and the online stores they describe."""
