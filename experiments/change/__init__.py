"""What a change of strategy would do: the recorded requests decided again in their order, on a history of their own."""
