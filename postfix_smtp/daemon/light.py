"""Import this before anything else imports asyncio: it comes without ssl, for which this program has no use.

TLS is spoken through memory buffers by another module (and only when it is configured); asyncio can live without ssl,
as it does in an interpreter that was built without it. That saves about 4 MB and 5 ms in each process. ssl stays
importable afterwards.
"""

import sys

if "asyncio" not in sys.modules and "ssl" not in sys.modules:
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        import asyncio
    finally:
        del sys.modules["ssl"]
else:
    import asyncio

__all__ = ["asyncio"]
