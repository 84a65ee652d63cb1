"""How we know it worked: experiments, their statistics, and worlds of known truth."""
