"""One module for each kind of target that receives commands; tests/contract/test_command_server.py runs over all."""
