"""What we know: the domain, the durable ledger, and the features of customers."""
