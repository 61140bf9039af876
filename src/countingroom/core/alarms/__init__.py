"""Alarms: published states, identities, and the pure rules by which they change."""
