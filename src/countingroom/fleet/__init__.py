"""The department `fleet`: keeps the services that are wanted running on many computers."""
