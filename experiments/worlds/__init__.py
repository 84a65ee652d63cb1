"""Bandit worlds whose truth is known, and the tournament in which policies have to earn in them."""
