"""From a nexthop to the addresses to try: destination syntax, DNS, order, loops (spec: delivery chapter 3 to 6)."""
