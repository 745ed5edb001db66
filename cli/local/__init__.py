"""Everything on one machine: the five services and the gateway as local processes."""
