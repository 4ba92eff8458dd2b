"""What the scripts of the Python clients share: sign in, run one function, print its result."""

import json
import os
import sys


def main(functions):
    """Call the function that the command line names."""
    _, name, arguments = sys.argv
    signed_in = {}
    exec(os.environ["SIGN_IN"], signed_in)
    client = signed_in.get("sf") or signed_in["bulk"]
    sys.stdout.write(json.dumps(functions[name](client, **json.loads(arguments))))
