"""A challenger is tried on live customers: in the shadow first, then on a share that grows while it does no harm."""
