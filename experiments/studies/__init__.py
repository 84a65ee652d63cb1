"""Studies: a randomised log of the past, and which policy would have earned most in it."""
