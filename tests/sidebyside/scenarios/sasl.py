"""Scenarios: sasl."""

from typing import Any

from compat.sidebyside.scenario import FAST, HANG, MX1, Scenario, add

KNOWN = "inline:{ {192.0.2.1 = user:secret} {mx1.dest.test = user:secret} }"


def sasl(name: str, offer: str, main: dict[str, Any] | None = None, *, server: Any = None, **others: Any) -> None:
    """A server that wants the password of `user`, and a client that knows it."""
    settings = {
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": KNOWN,
        "smtp_sasl_security_options": "",
        **(main or {}),
    }
    add(
        f"sasl/{name}",
        main=settings,
        srv={"auth": {"user": "secret"}, "kw": ["PIPELINING", f"AUTH {offer}"], **(server or {})},
        **others,
    )


UTF8 = {"smtp_sasl_password_maps": "static:user:geheïm"}
WRONG = {"smtp_sasl_password_maps": "static:user:wrong"}
for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", *(f"SCRAM-SHA-{n}" for n in (1, 224, 256, 384, 512))):
    low = mechanism.lower()
    sasl(low, mechanism)
    sasl(f"{low}-wrong", mechanism, WRONG)
    sasl(f"{low}-rejected-at-once", mechanism, server={"on": {"AUTH": "535 5.7.8 no"}})
for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"):
    low = mechanism.lower()
    sasl(f"{low}-authzid", mechanism, {"send_cyrus_sasl_authzid": "yes"})
    sasl(f"{low}-utf8", mechanism, UTF8, server={"auth": {"user": "geheïm"}})
    sasl(f"{low}-garbage", mechanism, server={"on": {"AUTH": "334 !!!!"}})
    sasl(f"{low}-close", mechanism, server={"on": {"AUTH": ("close",)}})
sasl("plain-454", "PLAIN", WRONG, server={"auth_bad": "454 4.7.0 temporary"})
sasl("plain-hard", "PLAIN", {**WRONG, "smtp_sasl_auth_soft_bounce": "no"})
sasl("plain-334", "PLAIN", server={"on": {"AUTH": "334 VXNlcm5hbWU6"}})
sasl("login-hang", "LOGIN", FAST, server={"on": {"AUTH": HANG}}, cost=2)
sasl("login-multiline-334", "LOGIN", server={"on": {"AUTH": "334-VXNlcm5hbWU6\n334 VXNlcm5hbWU6"}})
sasl("multiline-235", "PLAIN", server={"auth_ok": "235-2.7.0 welcome\n235 2.7.0 ok"})
sasl("anonymous", "ANONYMOUS", server={"on": {"AUTH": "235 2.7.0 ok"}})
for number, challenge in enumerate(
    ["!", "AAA", "AAAA!", "AA=", "A===", "AAAA=", "AAAA====", "AA==AAAA", "AB==", " AAAA"]
):
    sasl(f"base64-{number}", "CRAM-MD5", server={"on": {"AUTH": f"334 {challenge}"}})
sasl("password-empty", "PLAIN LOGIN", {"smtp_sasl_password_maps": "static:user:"})

# What is chosen
for number, (offer, options) in enumerate(
    [
        ("SCRAM-SHA-256-PLUS", ""),
        ("SCRAM-SHA-256-PLUS PLAIN", ""),
        ("PLAIN SCRAM-SHA-256-PLUS", "noplaintext"),
        ("FOO-PLUS OTP", ""),
        ("XOAUTH2 OAUTHBEARER", ""),
        ("PLAIN-CLIENTTOKEN", ""),
        ("PLAIN;LOGIN", ""),
        ("plain", ""),
        ("XPLAIN PLAINX PLAIN_ PLAIN", ""),
        ("EXTERNAL PLAIN", ""),
        ("EXTERNAL PLAIN", "nodictionary"),
        ("PLAIN", "forward_secrecy"),
        ("CRAM-MD5 SCRAM-SHA-1", "mutual_auth"),
        ("CRAM-MD5 PLAIN", "noactive"),
        ("CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 PLAIN LOGIN", ""),
        ("ANONYMOUS PLAIN", "noanonymous"),
        ("LOGIN PLAIN=", ""),
        ("=PLAIN", ""),
        ("OTP", ""),
        ("", ""),
    ]
):
    sasl(f"choice-{number}", offer, {"smtp_sasl_security_options": options})
sasl("filter", "PLAIN LOGIN CRAM-MD5 DIGEST-MD5", {"smtp_sasl_mechanism_filter": "login"})
sasl("filter-negated", "SCRAM-SHA-256 PLAIN", {"smtp_sasl_mechanism_filter": "!scram-sha-256, static:all"})
sasl("filter-none-left", "PLAIN", {"smtp_sasl_mechanism_filter": "login"})
sasl("filter-error", "PLAIN", {"smtp_sasl_mechanism_filter": "fail:x"})

# Malformed messages, and the library's warnings about them
SALT = "bGFiIHNhbHQgMTYgYnl0ZQ=="
for number, challenge in enumerate(
    [
        "",
        "hello",
        "e=other-error",
        f"m=x,r=NONCE,s={SALT},i=4096",
        f"r=NONCE,s={SALT}",
        "r=NONCE,i=4096",
        "r=NONCE,s=!!!!,i=4096",
        "r=NONCE,s=,i=4096",
        f"r=NONCE,s={SALT},i=x",
        f"r=NONCE,s={SALT},i=-5",
        f"r=NONCE,s={SALT},i=0",
        f"r=NONCE,s={SALT},i=65536",
        f"r=NONCE,s={SALT},i=65537",
        f"r=NONCE,s={SALT},i=4096,x=y",
        f"r=other,s={SALT},i=4096",
        "r=other,s=!!,i=x",
    ]
):
    sasl(f"scram-first-{number}", "SCRAM-SHA-256", server={"scram": {"challenge": challenge}})
for number, signature in enumerate(
    ["", "hello", "e=invalid-proof", "v=AAAA", "v=!!!", f"v={43 * 'A'}=", f"v={44 * 'A'}"]
):
    sasl(f"scram-final-{number}", "SCRAM-SHA-1 SCRAM-SHA-256", server={"scram": {"signature": signature}})
NONCE = 'nonce="OA6MG9tEQGm2hh"'
for number, challenge in enumerate(
    [
        "",
        "hello",
        'realm="a',
        f"{NONCE}",
        "algorithm=md5-sess",
        f"{NONCE},algorithm=foo,maxbuf=x",
        f"{NONCE},algorithm=md5-sess,algorithm=md5-sess",
        f'{NONCE},qop="auth-int",algorithm=md5-sess',
        f'{NONCE},qop="auth-int auth",algorithm=md5-sess',
        f'{NONCE},qop="auth-int, auth",algorithm=MD5-SESS',
        f"{NONCE},maxbuf=x",
        f"{NONCE},maxbuf=16,algorithm=md5-sess",
        f"{NONCE},maxbuf=16777216,algorithm=md5-sess",
        f"{NONCE},maxbuf=99,maxbuf=99",
        f"{NONCE},charset=latin-1",
        f'realm="a",realm="b",{NONCE},algorithm=md5-sess',
        f'realm="a\\"b",{NONCE},,algorithm=md5-sess,',
        'nonce="first",nonce="second",algorithm=md5-sess',
    ]
):
    sasl(f"digest-first-{number}", "DIGEST-MD5", server={"scram": {"digest": challenge}})
for number, final in enumerate(["", "hello", "foo=bar", f"rspauth={32 * '0'}"]):
    sasl(f"digest-final-{number}", "DIGEST-MD5", server={"scram": {"digest_final": final}})

# Passwords
SENDERS = {"smtp_sender_dependent_authentication": "yes"}
for number, entry in enumerate(
    ["sender@origin.test", "@origin.test", "sender", "mx1.dest.test", "dest.test", "192.0.2.1"]
):
    sasl(f"sender-{number}", "PLAIN", {**SENDERS, "smtp_sasl_password_maps": f"inline:{{ {{{entry} = user:secret}} }}"})
sasl("sender-error", "PLAIN", {**SENDERS, "smtp_sasl_password_maps": "fail:x"})
sasl("sender-mydestination-error", "PLAIN", {**SENDERS, "mydestination": "fail:x"})
sasl("lookup-error", "PLAIN", {"smtp_sasl_password_maps": "fail:x"})
sasl("table-missing", "PLAIN", {"smtp_sasl_password_maps": "lmdb:/etc/postfix/missing"})
sasl("no-tables", "PLAIN", {"smtp_sasl_password_maps": ","})
sasl("maps-missing", "PLAIN", {"smtp_sasl_password_maps": ""})
sasl("type-unknown", "PLAIN", {"smtp_sasl_type": "dovecot"})
for number, nexthop in enumerate(["[mx1.dest.test]:587", "mx1.dest.test:587", "mx1.dest.test"]):
    add(
        f"sasl/nexthop-{number}",
        main={
            "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_password_maps": f"inline:{{ {{{nexthop} = user:secret}} }}",
            "smtp_sasl_security_options": "",
            "relayhost": "[mx1.dest.test]:587",
        },
        servers=[{"at": "192.0.2.1:587", "auth": {"user": "secret"}, "kw": ["AUTH PLAIN"]}],
    )
add(
    "sasl/next-server-after-failure",
    main={
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": "inline:{ {mx1.dest.test = user:wrong} {mx2.dest.test = user:secret} }",
        "smtp_sasl_security_options": "",
    },
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[
        {"at": MX1, "auth": {"user": "secret"}, "kw": ["AUTH PLAIN"]},
        {"at": "192.0.2.2:25", "auth": {"user": "secret"}, "kw": ["AUTH PLAIN"]},
    ],
)

# The cache of failures
CACHE = {
    "smtp_sasl_auth_cache_name": "proxy:btree:${data_directory}/cache",
    "proxy_write_maps": "$smtp_sasl_auth_cache_name",
}
TWO: list[Scenario] = [{"to": ["user@dest.test"]}, {"to": ["b@dest.test"]}]
sasl("cache", "PLAIN", {**WRONG, **CACHE}, messages=TWO)
sasl("cache-hard", "PLAIN", {**WRONG, **CACHE, "smtp_sasl_auth_soft_bounce": "no"}, messages=TWO)
sasl("cache-454", "PLAIN", {**WRONG, **CACHE}, server={"auth_bad": "454 4.7.8 no"}, messages=TWO)
sasl("cache-expired", "PLAIN", {**WRONG, **CACHE, "smtp_sasl_auth_cache_time": "0s"}, messages=TWO[:1])
sasl("cache-not-proxied", "PLAIN", {"smtp_sasl_auth_cache_name": "btree:${data_directory}/cache"})
sasl("cache-two", "PLAIN", {"smtp_sasl_auth_cache_name": "proxy:btree:/a, proxy:btree:/b"})
sasl("cache-unapproved", "PLAIN", {"smtp_sasl_auth_cache_name": "proxy:btree:/a", "proxy_write_maps": ""})

# TLS, a jail, LMTP
TLS = {"tls": {}, "kw_tls": ["AUTH PLAIN", "PIPELINING"]}
TLS_OPTIONS = {"smtp_sasl_security_options": "noplaintext", "smtp_tls_security_level": "may"}
sasl("tls-options", "CRAM-MD5", {**TLS_OPTIONS, "smtp_sasl_tls_security_options": "noanonymous"}, server=TLS)
sasl("tls-same-options", "CRAM-MD5", TLS_OPTIONS, server=TLS)
sasl("chroot", "SCRAM-SHA-256 PLAIN", {**SENDERS, "smtp_sasl_mechanism_filter": "!plain, static:all"}, chroot=True)
for mechanism in ("PLAIN", "DIGEST-MD5"):
    for password in ("secret", "wrong"):
        add(
            f"sasl/lmtp-{mechanism.lower()}-{password}",
            main={
                "lmtp_sasl_auth_enable": "yes",
                "lmtp_sasl_password_maps": f"static:user:{password}",
                "lmtp_sasl_security_options": "",
                "default_transport": "lmtp",
            },
            srv={"auth": {"user": "secret"}, "kw": [f"AUTH {mechanism}"], "lmtp": True, "at": "192.0.2.1:24"},
        )

# Postfix's own server with Cyrus's library on the other side
SUBMISSION = (
    "192.0.2.9:587 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_recipient_restrictions="
    "permit_sasl_authenticated,reject -o smtpd_relay_restrictions=permit_sasl_authenticated,reject "
    "-o content_filter=discard: -o smtpd_sasl_security_options="
)
PASSWORD_FILE = "/etc/postfix/sasl/sasldb2"
STORE = (
    f"echo secret | saslpasswd2 -p -c -f {PASSWORD_FILE} -u $(postconf -h myhostname) user; chmod 644 {PASSWORD_FILE}"
)
for mechanism in ("plain", "login", "cram-md5", "digest-md5", "scram-sha-1", "scram-sha-256", "anonymous"):
    for password in ("secret", "wrong"):
        add(
            f"sasl/cyrus-server-{mechanism}-{password}",
            main={
                "smtp_sasl_auth_enable": "yes",
                "smtp_sasl_password_maps": f"static:user:{password}",
                "smtp_sasl_security_options": "",
                "smtp_sasl_mechanism_filter": mechanism,
                "cyrus_sasl_config_path": "/etc/postfix/sasl",
                "transport_maps": "inline:{ {dest.test = smtp:[192.0.2.9]:587} }",
            },
            master=SUBMISSION,
            files={
                "sasl/smtpd.conf": f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {PASSWORD_FILE}\n"
                "mech_list: plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256 anonymous\n"
            },
            servers=[],
            steps=[("silent", "sh", "-c", STORE), ("send", 0), ("idle",)],
        )
