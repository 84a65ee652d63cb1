"""How we decide: catalogue rules, scoring, exploration, and the service."""
