"""Models: the data that engines load, each known by the SHA-256 of its files.

`catalogue` says which there are and where they can be had, `folder` keeps those that are here, `pull` fetches one from
the first of its `sources` that has it, `bringing` takes one from files at hand. Knows nothing of the house.
"""
