"""How we learn: labels, models, policies, bundles."""
