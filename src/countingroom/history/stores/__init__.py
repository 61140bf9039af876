"""Further stores of the history, beside the default one: databases of a site that get every sample too.

Read port.py first (what such a store is), then follower.py (how it is kept up to date). section.py is the section
`history.stores`, registry.py says which module opens which kind.
"""
