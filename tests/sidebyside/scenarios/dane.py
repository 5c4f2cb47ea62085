"""Scenarios: dane."""

from compat.sidebyside.certificates import tlsa_digest
from compat.sidebyside.scenario import add, message

add(
    "dane/ee-spki-full",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
    },
    dns={"_25._tcp.mx1.dest.test": [("TLSA", 3, 1, 0, tlsa_digest("good", 1, 0))]},
    secure=("test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/ee-cert-full",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
    },
    dns={"_25._tcp.mx1.dest.test": [("TLSA", 3, 0, 0, tlsa_digest("good", 0, 0))]},
    secure=("test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/ta-sha256",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
    },
    dns={"_25._tcp.mx1.dest.test": [("TLSA", 2, 0, 1, tlsa_digest("ca", 0, 1))]},
    secure=("test",),
    srv={"tls": {"cert": "wild"}},
)

add(
    "dane/pkix-usages",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
    },
    dns={"_25._tcp.mx1.dest.test": [("TLSA", 1, 1, 1, tlsa_digest("good", 1, 1))]},
    secure=("test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/unusable-mtype",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
    },
    dns={
        "_25._tcp.mx1.dest.test": [
            ("TLSA", 3, 1, 9, "0000000000000000000000000000000000000000000000000000000000000000")
        ]
    },
    secure=("test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/unusable-and-good",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
    },
    dns={
        "_25._tcp.mx1.dest.test": [
            ("TLSA", 3, 1, 9, "0000000000000000000000000000000000000000000000000000000000000000"),
            ("TLSA", 3, 1, 1, tlsa_digest("good", 1, 1)),
        ]
    },
    secure=("test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/no-records",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
    },
    dns={},
    secure=("test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/tlsa-servfail-only",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane-only",
        "smtp_dns_support_level": "dnssec",
    },
    dns={"_25._tcp.mx1.dest.test": "SERVFAIL"},
    secure=("test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/dane-only-mismatch",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane-only",
        "smtp_dns_support_level": "dnssec",
    },
    dns={"_25._tcp.mx1.dest.test": [("TLSA", 3, 1, 1, tlsa_digest("self", 1, 1))]},
    secure=("test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/tlsa-mismatch-next-mx",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
    },
    dns={
        "dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")],
        "_25._tcp.mx2.dest.test": [("TLSA", 3, 1, 1, tlsa_digest("good", 1, 1))],
        "_25._tcp.mx1.dest.test": [("TLSA", 3, 1, 1, tlsa_digest("self", 1, 1))],
    },
    secure=("test",),
    servers=[{"at": "192.0.2.1:25", "tls": {}}, {"at": "192.0.2.2:25", "tls": {}}],
)

add(
    "dane/policy-map",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
        "smtp_dns_support_level": "dnssec",
        "smtp_tls_policy_maps": "inline:{ {dest.test = dane} }",
    },
    dns={"_25._tcp.mx1.dest.test": [("TLSA", 3, 1, 1, tlsa_digest("good", 1, 1))]},
    secure=("test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/insecure-mx-policy-may",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
        "smtp_tls_dane_insecure_mx_policy": "may",
    },
    dns={"_25._tcp.mx1.dest.test": [("TLSA", 3, 1, 1, tlsa_digest("good", 1, 1))]},
    secure=("mx1.dest.test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/insecure-mx-policy-encrypt",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
        "smtp_tls_dane_insecure_mx_policy": "encrypt",
    },
    dns={"_25._tcp.mx1.dest.test": [("TLSA", 3, 1, 1, tlsa_digest("self", 1, 1))]},
    secure=("mx1.dest.test",),
    srv={"tls": {"cert": "good"}},
)

add(
    "dane/insecure-mx-default",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
    },
    dns={"_25._tcp.mx1.dest.test": [("TLSA", 3, 1, 1, tlsa_digest("self", 1, 1))]},
    secure=("mx1.dest.test",),
    srv={"tls": {"cert": "good"}},
)

for _what, _records in (
    ("nxdomain", "NXDOMAIN"),
    ("servfail", "SERVFAIL"),
    ("garbage", "GARBAGE"),
    ("bad-name", [("MX", 10, "-bad-.test.")]),
):
    # DNSSEC is probed after any reply that is not validated, also one that is an error
    add(
        f"dane/probe-after-{_what}",
        main={"smtp_dns_support_level": "dnssec", "transport_maps": "inline:{{dest.test=smtp:probe.test}}"},
        dns={"probe.test": _records},
        srv={},
    )

add(
    "dane/no-probe-after-validated-answer",
    main={"smtp_dns_support_level": "dnssec"},
    dns={"dest.test": [("MX", 10, "mx.other.")], "mx.other": [("A", "192.0.2.1")]},
    secure=("dest.test",),
    srv={},
)

add(
    # asked for twice by the first request, and once by the second
    "dane/tlsa-servfail-twice",
    main={
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
    },
    dns={"_25._tcp.mx1.dest.test": "SERVFAIL"},
    secure=("test",),
    srv={"tls": {"cert": "good"}},
    messages=[message("one@dest.test"), message("two@dest.test")],
)

for _anchor in ("old-sub", "sub", "ca"):
    for _selector, _matching in ((0, 0), (0, 1), (1, 0), (1, 1)):
        add(
            f"dane/anchor-{_anchor}-{_selector}-{_matching}",
            main={
                "smtp_tls_loglevel": "2",
                "smtp_tls_security_level": "dane-only",
                "smtp_dns_support_level": "dnssec",
            },
            dns={
                "_25._tcp.mx1.dest.test": [
                    ("TLSA", 2, _selector, _matching, tlsa_digest(_anchor, _selector, _matching))
                ]
            },
            secure=("test",),
            srv={"tls": {"cert": "below-old" if _anchor == "old-sub" else "chained"}},
        )

for _level in ("dane", "dane-only"):
    add(
        f"dane/forced-look-up-of-an-address-{_level}",
        main={
            "smtp_tls_security_level": _level,
            "smtp_dns_support_level": "dnssec",
            "smtp_tls_force_insecure_host_tlsa_lookup": "yes",
            "transport_maps": "inline:{{dest.test=smtp:[192.0.2.1]}}",
        },
        dns={"_25._tcp.192.0.2.1": [("TLSA", 3, 1, 1, tlsa_digest("good", 1, 1))]},
        secure=("192.0.2.1",),
        srv={"tls": {"cert": "good"}},
    )
