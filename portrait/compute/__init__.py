"""Where it is computed: which device, and how many processes."""
