"""Real sockets of virtual boards: what waiting for a peer, a handshake and a name cost in virtual time."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hw.virtual import World
from hw.virtual.testing import add_script


def serving(talk: Callable[[socket.socket], None]) -> tuple[int, threading.Thread]:
    """A TCP server that talks to one client: its port, and the thread that ends with the talk."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        conn, _ = server.accept()
        with conn, server:
            talk(conn)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return int(server.getsockname()[1]), thread


def slow_peer(delay_s: float) -> tuple[int, threading.Thread]:
    """Answers each line after real time has passed."""

    def talk(conn: socket.socket) -> None:
        while data := conn.recv(100):
            time.sleep(delay_s)
            conn.sendall(data.upper())

    return serving(talk)


def test_virtual_time_waits_for_a_slow_peer() -> None:
    def run() -> tuple[list[str], list[str]]:
        port, thread = slow_peer(0.1)
        with World() as world:
            gate = add_script(
                world,
                "gate",
                f"""
                import asyncio, time, network
                async def main():
                    w = network.WLAN(network.STA_IF)
                    w.active(True)
                    w.connect("x", "y")
                    while not w.isconnected():
                        await asyncio.sleep_ms(100)
                    t = time.ticks_ms()
                    r, wr = await asyncio.open_connection("127.0.0.1", {port})
                    for i in range(3):
                        wr.write(b"hello%d\\n" % i)
                        await wr.drain()
                        print(await r.readline(), time.ticks_ms() - t)
                        await asyncio.sleep_ms(500)
                    wr.close()
                    await wr.wait_closed()
                asyncio.run(main())
                """,
                sockets=True,
                network=True,
            )
            other = add_script(
                world,
                "other",
                """
                import time
                for i in range(50):
                    time.sleep_ms(100)
                    print(i)
                """,
            )
            world.run(60)
            assert world.failures == []
        thread.join(5)
        return gate.console, other.console

    first, second = run(), run()
    assert first == second
    assert [line.split()[0] for line in first[0]] == [f"b'HELLO{i}\\n'" for i in range(3)]
    # Three answers that took 0.1 s of real time each cost next to no virtual time.
    assert int(first[0][2].split()[1]) < 1100


def test_a_silent_peer_does_not_stop_time_for_ever() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    begin = time.monotonic()
    with server, World() as world:
        board = add_script(
            world,
            "gate",
            f"""
            import asyncio, time
            async def main():
                r, w = await asyncio.open_connection("127.0.0.1", {port})
                w.write(b"anybody?")
                await w.drain()
                try:
                    await asyncio.wait_for(r.read(10), 60)
                except asyncio.TimeoutError:
                    print("silent")
            asyncio.run(main())
            """,
            sockets=True,
            barrier_s=0.2,
        )
        world.run(100)
    assert board.console == ["silent"]
    assert time.monotonic() - begin < 2


def test_no_sockets_without_permission() -> None:
    with World() as world:
        board = add_script(
            world,
            "a",
            """
            import socket
            try:
                socket.socket()
            except OSError as e:
                print(e.errno)
            """,
        )
        world.run(5)
    assert board.console == ["118"]


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate of `localhost` and its key, in PEM."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert, private


def test_tls_works_and_its_handshake_costs_time(tmp_path: Path) -> None:
    cert, private = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, private)

    def talk(conn: socket.socket) -> None:
        with context.wrap_socket(conn, server_side=True) as tls:
            tls.sendall(tls.recv(100).upper())

    port, thread = serving(talk)
    with World() as world:
        board = add_script(
            world,
            "gate",
            f"""
            import asyncio, ssl, time
            async def main():
                c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                c.verify_mode = ssl.CERT_NONE
                t = time.ticks_ms()
                r, w = await asyncio.open_connection("127.0.0.1", {port}, ssl=c)
                w.write(b"hello")
                await w.drain()
                print(await r.read(10), 2400 <= time.ticks_ms() - t < 4400)
            asyncio.run(main())
            """,
            sockets=True,
        )
        world.run(30)
        assert world.failures == []
    thread.join(5)
    assert board.console == ["b'HELLO' True"]


def test_a_name_that_does_not_resolve_costs_its_time_out_unless_a_thread_asks() -> None:
    with World() as world:
        board = add_script(
            world,
            "gate",
            """
            import socket, time, _thread
            def ask():
                try:
                    socket.getaddrinfo("no.such.name.invalid", 80)
                except OSError as e:
                    print(e.errno)
            t = time.ticks_ms()
            ask()
            print(7000 <= time.ticks_ms() - t <= 14100)
            t = time.ticks_ms()
            _thread.start_new_thread(ask, ())
            print(time.ticks_ms() - t < 10)
            """,
            sockets=True,
        )
        world.run(60)
    assert board.failures == []
    assert board.console == ["-202", "True", "-202", "True"]
