"""The department `doors`: the fleet behind the actor protocol of SDSS (CLU), for clients and scripts of fliswarm. Read
`door.py` first."""
