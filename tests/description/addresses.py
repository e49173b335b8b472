"""Every request comes from an address of its own, as the proxy that this program plays has seen it.

The header is added where requests are sent, so that no check takes it for a part of what it has made up."""

import itertools

import requests

NUMBERS = itertools.count(1)
SEND = requests.Session.send


def send(session, request, **arguments):
    number = next(NUMBERS)
    request.headers["X-Forwarded-For"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return SEND(session, request, **arguments)


requests.Session.send = send
