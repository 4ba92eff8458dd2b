"""What the scripts of the Python clients share: sign in, run one function, print its result."""

import json
import os
import sys


def signed_in():
    """Return a client that the lines of `bulknb sandbox` have signed in."""
    found = {}
    exec(os.environ["SIGN_IN"], found)
    return found.get("sf") or found["bulk"]


def main(functions, sign_in=signed_in):
    """Call the function that the command line names."""
    _, name, arguments = sys.argv
    result = functions[name](sign_in(), **json.loads(arguments))
    sys.stdout.write(json.dumps(result))
