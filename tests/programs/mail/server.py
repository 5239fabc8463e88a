"""A mail server that does to each recipient what the address says.

`refused...` is refused for good, `deferred...` once for now, `stalled...` is never answered, `held...` not before a line comes
on the input, `dropped...` loses the connection after its first message was read; others are served. Prints one JSON object a
line: first its port, then what it read.

With `--ascii` it knows no addresses but those of ASCII (no SMTPUTF8).

With a folder as its argument it takes mails only over STARTTLS and from bob, whose password is s/e:cret, and writes the
certificate of its authority to ca.pem there.
"""

import asyncio
import email
import email.policy
import json
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def say(**what):
    print(json.dumps(what), flush=True)


class Handler:
    def __init__(self):
        self.seen = set()
        self.released = asyncio.Event()

    def first(self, address):
        known = address in self.seen
        self.seen.add(address)
        return not known

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return f"550 5.1.1 <{address}>: there is no such mailbox"
        if address.startswith("deferred") and self.first(address):
            return f"451 4.7.1 <{address}>: try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        address = envelope.rcpt_tos[0]
        if address.startswith("stalled"):
            say(stalled=address)
            await asyncio.sleep(3600)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        lost = address.startswith("dropped") and self.first(address)
        say(
            to=address,
            sender=envelope.mail_from,
            lost=lost,
            headers=[[name, str(value)] for name, value in message.items()],
            text=message.get_body(("plain",)).get_content(),
            html=message.get_body(("html",)).get_content(),
        )
        if lost:
            server.transport.abort()
            await asyncio.sleep(3600)
        if address.startswith("held"):
            await self.released.wait()
        return "250 OK"


def release(handler, loop):
    if sys.stdin.readline():
        loop.call_soon_threadsafe(handler.released.set)


def authenticate(server, session, envelope, mechanism, data):
    good = LoginPassword(b"bob", b"s/e:cret")
    return AuthResult(success=isinstance(data, LoginPassword) and data == good)


def secured(folder):
    import ssl

    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(f"{folder}/ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return {
        "tls_context": context,
        "require_starttls": True,
        "authenticator": authenticate,
        "auth_required": True,
    }


async def main():
    arguments = sys.argv[1:]
    ascii_only = "--ascii" in arguments
    folders = [argument for argument in arguments if argument != "--ascii"]
    options = secured(folders[0]) if folders else {}
    handler = Handler()
    loop = asyncio.get_running_loop()
    threading.Thread(target=release, args=(handler, loop), daemon=True).start()
    server = await loop.create_server(
        lambda: SMTP(handler, enable_SMTPUTF8=not ascii_only, hostname="localhost", loop=loop, **options), "127.0.0.1", 0
    )
    say(port=server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


asyncio.run(main())
