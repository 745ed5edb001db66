"""How good a talking head is: metrics, comparisons and the report card."""
