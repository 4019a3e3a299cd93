"""The version of the wire: client and server work together when their API_VERSION is equal."""

API_VERSION = "1"
VERSION_HEADER = "X-Atlas-Api"
