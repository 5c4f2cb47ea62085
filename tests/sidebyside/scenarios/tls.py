"""Scenarios: tls."""

from compat.sidebyside.certificates import fingerprint
from compat.sidebyside.scenario import FAST, add, agents

add(
    "tls/verify-good",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "verify",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/secure-good",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "secure",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/verify-wild",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "verify",
    },
    srv={"tls": {"cert": "wild"}},
)

add(
    "tls/secure-wild",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "secure",
    },
    srv={"tls": {"cert": "wild"}},
)

add(
    "tls/verify-nexthop",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "verify",
    },
    srv={"tls": {"cert": "nexthop"}},
)

add(
    "tls/secure-cnonly",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "secure",
    },
    srv={"tls": {"cert": "cnonly"}},
)

add(
    "tls/secure-othername",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "secure",
    },
    srv={"tls": {"cert": "othername"}},
)

add(
    "tls/may-future",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "future"}},
)

add(
    "tls/may-unknownca",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "unknownca"}},
)

add(
    "tls/secure-unknownca",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "secure",
    },
    srv={"tls": {"cert": "unknownca"}},
)

add(
    "tls/verify-chained",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "verify",
    },
    srv={"tls": {"cert": "chained"}},
)

add(
    "tls/verify-ip",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "verify",
    },
    srv={"tls": {"cert": "ip"}},
)

add(
    "tls/secure-ip",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "secure",
    },
    srv={"tls": {"cert": "ip"}},
)

add(
    "tls/unset",
    main={"smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem", "smtp_tls_loglevel": "1"},
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/enforce-tls-old",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_enforce_tls": "yes",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/enforce-tls-old-no-peername",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_enforce_tls": "yes",
        "smtp_tls_enforce_peername": "no",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/helo-only-encrypt",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
    },
    srv={"tls": {"cert": "good"}, "on": {"EHLO": "500 no"}},
)

add(
    "tls/starttls-rejected-5xx-may",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "good"}, "on": {"STARTTLS": "554 5.7.0 no"}},
)

add(
    "tls/starttls-rejected-encrypt-5xx",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
    },
    srv={"tls": {"cert": "good"}, "on": {"STARTTLS": "554 5.7.0 no"}},
)

add(
    "tls/starttls-250",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
    },
    srv={"tls": {"cert": "good"}, "on": {"STARTTLS": "250 hm"}},
)

add(
    "tls/starttls-hang-may",
    main={
        **FAST,
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "good"}, "on": {"STARTTLS": ("hang",)}},
    cost=2,
)

add(
    "tls/handshake-hang-may",
    main={
        **FAST,
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "good", "do": ("hang",)}},
    cost=2,
)

add(
    "tls/handshake-garbage-may",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "good", "do": (("raw", b"GARBAGE garbage garbage\r\n"), ("close",))}},
)

add(
    "tls/injection-after-220",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "good"}, "on": {"STARTTLS": b"220 ready\r\n250 injected\r\n"}},
)

add(
    "tls/second-ehlo-rejected",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "good"}, "on": {"EHLO": ["250-mx.test\n250 STARTTLS", "550 5.5.1 no"]}},
)

add(
    "tls/close-mid-body",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "good"}, "body": {"after": 50, "do": ("close",)}},
)

add(
    "tls/rcpt-5xx",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
    },
    srv={"tls": {"cert": "good"}, "on": {"RCPT": "550 5.1.1 no"}},
)

add(
    "tls/loglevel-bad",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "x",
        "smtp_tls_security_level": "encrypt",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/server-only-1.2-client-cert",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_cert_file": "/run/sidebyside/certificates/client.pem",
        "smtp_tls_key_file": "/run/sidebyside/certificates/client.key",
    },
    srv={"tls": {"cert": "good", "min": "1.2", "max": "1.2", "ask_cert": True}},
)

add(
    "tls/server-needs-cert-1.2",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
    },
    srv={"tls": {"cert": "good", "min": "1.2", "max": "1.2", "need_cert": True}},
)

add(
    "tls/server-only-1.3-client-cert",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_cert_file": "/run/sidebyside/certificates/client.pem",
        "smtp_tls_key_file": "/run/sidebyside/certificates/client.key",
    },
    srv={"tls": {"cert": "good", "min": "1.3", "max": "1.3", "ask_cert": True}},
)

add(
    "tls/protocols-mismatch-encrypt",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_mandatory_protocols": ">=TLSv1.3",
    },
    srv={"tls": {"cert": "good", "max": "1.2"}},
)

add(
    "tls/ca-file-missing-may",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/nosuch.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/ca-path",
    main={
        "smtp_tls_CAfile": "",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "verify",
        "smtp_tls_CApath": "/run/sidebyside/certificates",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/secure-match-literal",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "secure",
        "smtp_tls_secure_cert_match": "other.test",
    },
    srv={"tls": {"cert": "othername"}},
)

add(
    "tls/secure-match-dot-literal",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "secure",
        "smtp_tls_secure_cert_match": ".test",
    },
    srv={"tls": {"cert": "othername"}},
)

add(
    "tls/scert-verifydepth",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "verify",
        "smtp_tls_scert_verifydepth": "0",
    },
    srv={"tls": {"cert": "chained"}},
)

add(
    "tls/client-cert-ec",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_eccert_file": "/run/sidebyside/certificates/client-ec.pem",
        "smtp_tls_eckey_file": "/run/sidebyside/certificates/client-ec.key",
    },
    srv={"tls": {"cert": "good", "ask_cert": True}},
)

add(
    "tls/fingerprint-cert",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "fingerprint",
        "smtp_tls_fingerprint_digest": "sha256",
        "smtp_tls_fingerprint_cert_match": fingerprint("self", "cert"),
    },
    srv={"tls": {"cert": "self"}},
)

add(
    "tls/fingerprint-pkey",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "fingerprint",
        "smtp_tls_fingerprint_digest": "sha256",
        "smtp_tls_fingerprint_cert_match": fingerprint("self", "pkey"),
    },
    srv={"tls": {"cert": "self"}},
)

add(
    "tls/fingerprint-md5",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "fingerprint",
        "smtp_tls_fingerprint_digest": "md5",
        "smtp_tls_fingerprint_cert_match": fingerprint("self", "md5"),
    },
    srv={"tls": {"cert": "self"}},
)

add(
    "tls/policy-none",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ {dest.test = none} }",
    },
    srv={"tls": {"cert": "good", "sni": {"sni.dest.test": "sni"}}},
)

add(
    "tls/policy-encrypt",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ {dest.test = encrypt} }",
    },
    srv={"tls": {"cert": "good", "sni": {"sni.dest.test": "sni"}}},
)

add(
    "tls/policy-verify",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ {dest.test = verify} }",
    },
    srv={"tls": {"cert": "good", "sni": {"sni.dest.test": "sni"}}},
)

add(
    "tls/policy-secure-match",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ {dest.test = secure match=mx1.dest.test} }",
    },
    srv={"tls": {"cert": "good", "sni": {"sni.dest.test": "sni"}}},
)

add(
    "tls/policy-bad-level",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ {dest.test = voodoo} }",
    },
    srv={"tls": {"cert": "good", "sni": {"sni.dest.test": "sni"}}},
)

add(
    "tls/policy-bad-attr",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ {dest.test = encrypt voodoo=1} }",
    },
    srv={"tls": {"cert": "good", "sni": {"sni.dest.test": "sni"}}},
)

add(
    "tls/policy-servername",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ {dest.test = encrypt servername=sni.dest.test} }",
    },
    srv={"tls": {"cert": "good", "sni": {"sni.dest.test": "sni"}}},
)

add(
    "tls/policy-brackets",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ {[mx1.dest.test] = encrypt} }",
        "relayhost": "[mx1.dest.test]",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/policy-error",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "fail:x",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/servername-main",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_servername": "sni.dest.test",
    },
    srv={"tls": {"cert": "good", "sni": {"sni.dest.test": "sni"}}},
)

add(
    "tls/servername-nexthop",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_servername": "nexthop",
    },
    srv={"tls": {"cert": "good", "sni": {"dest.test": "nexthop"}}},
)

add(
    "tls/wrappermode",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_wrappermode": "yes",
        "relayhost": "[mx1.dest.test]:465",
    },
    servers=[{"at": "192.0.2.1:465", "tls": {"wrap": True}}],
)

add(
    "tls/wrappermode-missing",
    main={
        **FAST,
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "relayhost": "[mx1.dest.test]:465",
    },
    servers=[{"at": "192.0.2.1:465", "tls": {"wrap": True}}],
    cost=2,
)

add(
    "tls/notify-protocol",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
        "notify_classes": "protocol, policy",
    },
    srv={"tls": {"cert": "good", "do": (("raw", b"GARBAGE\r\n"), ("close",))}},
)

add(
    "tls/dsn-only-before-tls",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
    },
    srv={"tls": {"cert": "good"}, "kw": ["DSN"], "kw_tls": []},
)

add(
    "tls/log-forensics-delays",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "good"}, "on": {"STARTTLS": (("sleep", 4), ("reply", "220 go"))}},
    delays=4.0,
    cost=5,
)

add(
    "tls/tlsmgr-gone",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
    },
    srv={"tls": {"cert": "good"}},
    agents=agents(),
)

add(
    "tls/hello-ciphers-null",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_mandatory_ciphers": "null",
    },
    srv={"tls": {"cert": "good", "show_ciphers": True}},
)

add(
    "tls/hello-ciphers-may-null",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
        "smtp_tls_ciphers": "null",
    },
    srv={"tls": {"cert": "good", "show_ciphers": True}},
)

add(
    "tls/config-name",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "tls_config_file": "/etc/postfix/o.cnf",
        "tls_config_name": "other",
    },
    srv={"tls": {"cert": "good"}},
    files={
        "o.cnf": "openssl_conf = one\nother = two\n[one]\nssl_conf = ssl1\n[two]\nssl_conf = ssl2\n[ssl1]\n"
        + "system_default = chacha\n[ssl2]\nsystem_default = aes\n[chacha]\nCiphersuites = "
        + "TLS_CHACHA20_POLY1305_SHA256\n[aes]\nCiphersuites = TLS_AES_128_GCM_SHA256\n"
    },
)

add(
    "tls/config-missing",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "tls_config_file": "/etc/postfix/nosuch",
    },
    srv={"tls": {"cert": "good"}},
    files={
        "o.cnf": "openssl_conf = one\nother = two\n[one]\nssl_conf = ssl1\n[two]\nssl_conf = ssl2\n[ssl1]\n"
        + "system_default = chacha\n[ssl2]\nsystem_default = aes\n[chacha]\nCiphersuites = "
        + "TLS_CHACHA20_POLY1305_SHA256\n[aes]\nCiphersuites = TLS_AES_128_GCM_SHA256\n"
    },
)

add(
    "tls/config-none",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "tls_config_file": "none",
    },
    srv={"tls": {"cert": "good"}},
    files={
        "o.cnf": "openssl_conf = one\nother = two\n[one]\nssl_conf = ssl1\n[two]\nssl_conf = ssl2\n[ssl1]\n"
        + "system_default = chacha\n[ssl2]\nsystem_default = aes\n[chacha]\nCiphersuites = "
        + "TLS_CHACHA20_POLY1305_SHA256\n[aes]\nCiphersuites = TLS_AES_128_GCM_SHA256\n"
    },
)

add(
    "tls/config-may",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "may",
        "tls_config_file": "/etc/postfix/nosuch",
    },
    srv={"tls": {"cert": "good"}},
    files={
        "o.cnf": "openssl_conf = one\nother = two\n[one]\nssl_conf = ssl1\n[two]\nssl_conf = ssl2\n[ssl1]\n"
        + "system_default = chacha\n[ssl2]\nsystem_default = aes\n[chacha]\nCiphersuites = "
        + "TLS_CHACHA20_POLY1305_SHA256\n[aes]\nCiphersuites = TLS_AES_128_GCM_SHA256\n"
    },
)

add(
    "tls/rpk-fingerprint",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "fingerprint",
        "smtp_tls_enable_rpk": "yes",
        "smtp_tls_fingerprint_digest": "sha256",
        "smtp_tls_fingerprint_cert_match": fingerprint("good", "pkey"),
    },
    srv={"tls": {"cert": "good"}},
    min="3.9",
)

add(
    "tls/rpk-verify",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "verify",
        "smtp_tls_enable_rpk": "yes",
        "smtp_tls_fingerprint_digest": "sha256",
        "smtp_tls_fingerprint_cert_match": fingerprint("good", "pkey"),
    },
    srv={"tls": {"cert": "good"}},
    min="3.9",
)

add(
    "tls/rpk-policy-yes",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_policy_maps": "inline:{ {dest.test = encrypt enable_rpk=yes} }",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/rpk-policy-no",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_policy_maps": "inline:{ {dest.test = encrypt enable_rpk=no} }",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/deprecated-peername",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "",
        "smtp_tls_enforce_peername": "no",
        "smtp_enforce_tls": "yes",
    },
    srv={"tls": {"cert": "self"}},
)

add(
    "tls/ciphers-mismatch",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_mandatory_exclude_ciphers": "AES, CHACHA20, ARIA, CAMELLIA",
    },
    srv={"tls": {"cert": "good", "max": "1.2"}},
)

add(
    "tls/hello-exclude",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_exclude_ciphers": "aNULL, kRSA, SHA1",
        "smtp_tls_mandatory_exclude_ciphers": "CAMELLIA",
    },
    srv={"tls": {"cert": "good", "show_ciphers": True}},
)

add(
    "tls/hello-groups-ffdhe",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "tls_ffdhe_auto_groups": "ffdhe4096",
    },
    srv={"tls": {"cert": "good", "show_ciphers": True}},
)

add(
    "tls/hello-groups-unknown",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_security_level": "encrypt",
        "tls_eecdh_auto_curves": "voodoo X25519",
    },
    srv={"tls": {"cert": "good", "show_ciphers": True}},
)

add(
    # the names are looked at after the chain is built and before any certificate is verified
    "tls/order-of-checks-wrong-name",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "2",
        "smtp_tls_security_level": "secure",
    },
    srv={"tls": {"cert": "othername"}},
)

add(
    "tls/order-of-checks-unknown-issuer-and-wrong-name",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca2.pem",
        "smtp_tls_loglevel": "2",
        "smtp_tls_security_level": "verify",
        "smtp_tls_verify_cert_match": "nosuch.test",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/order-of-checks-expired-and-wrong-name",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "2",
        "smtp_tls_security_level": "verify",
        "smtp_tls_verify_cert_match": "nosuch.test",
    },
    srv={"tls": {"cert": "expired"}},
)

add(
    "tls/fingerprints-without-engine",
    main={
        "smtp_tls_fingerprint_digest": "nosuch",
        "smtp_tls_fingerprint_cert_match": "00:11:22",
        "smtp_tls_loglevel": "2",
        "smtp_tls_security_level": "fingerprint",
    },
    srv={"tls": {"cert": "good"}},
)

_KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
_DAMAGED = {
    "text": "no PEM\n",
    "key": _KEY,
    "cut": "-----BEGIN CERTIFICATE-----\nAAAA\n",
    "no-base64": "-----BEGIN CERTIFICATE-----\nA!AA\n-----END CERTIFICATE-----\n",
    "no-certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "other-end": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE----\n",
}
for _what, _text in _DAMAGED.items():
    for _use, _settings in (
        ("certificate", {"smtp_tls_cert_file": "/etc/postfix/pem", "smtp_tls_key_file": "$smtp_tls_CAfile"}),
        ("key", {"smtp_tls_cert_file": "$smtp_tls_CAfile", "smtp_tls_key_file": "/etc/postfix/pem"}),
        ("mixed", {"smtp_tls_cert_file": "/etc/postfix/pem", "smtp_tls_key_file": "/etc/postfix/pem"}),
        ("chain", {"smtp_tls_chain_files": "/etc/postfix/pem"}),
        ("authorities", {"smtp_tls_CAfile": "/etc/postfix/pem"}),
        ("anchors", {"smtp_tls_trust_anchor_file": "/etc/postfix/pem"}),
    ):
        if _what == "key" and _use not in ("certificate", "anchors"):
            continue  # the errors are those of one version of the library
        add(
            f"tls/damaged-{_use}-{_what}",
            main={
                "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
                "smtp_tls_loglevel": "1",
                "smtp_tls_security_level": "secure",
                **_settings,
            },
            files={"pem": _text},
            srv={"tls": {"cert": "good"}},
        )

add(
    "tls/key-of-another-certificate",
    main={
        "smtp_tls_cert_file": "/run/sidebyside/certificates/client.pem",
        "smtp_tls_key_file": "/run/sidebyside/certificates/good.key",
        "smtp_tls_security_level": "encrypt",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    # the name, a sub-domain of the address, and the address itself
    "tls/order-of-checks-address",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "2",
        "smtp_tls_security_level": "secure",
        "transport_maps": "inline:{{dest.test=smtp:[192.0.2.1]}}",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "tls/lmtp-wrapper-mode-without-level",
    main={
        "lmtp_tls_wrappermode": "yes",
        "lmtp_tls_security_level": "may",
        "transport_maps": "inline:{{dest.test=lmtp:[192.0.2.1]:25}}",
    },
    srv={"lmtp": True, "tls": {"wrap": True}},
)

for _title in ("good", "wild", "self", "chained"):
    for _anchor in ("ca2", "sub", "ca"):
        add(
            f"tls/order-of-checks-{_title}-below-anchor-{_anchor}",
            main={
                "smtp_tls_loglevel": "2",
                "smtp_tls_security_level": "verify",
                "smtp_tls_trust_anchor_file": f"/run/sidebyside/certificates/{_anchor}.pem",
                "smtp_tls_verify_cert_match": "nosuch.test" if _anchor == "sub" else "hostname",
            },
            srv={"tls": {"cert": _title}},
        )

add(
    "tls/order-of-checks-foreign-fingerprint",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "2",
        "smtp_tls_security_level": "fingerprint",
        "smtp_tls_fingerprint_digest": "sha256",
        "smtp_tls_fingerprint_cert_match": fingerprint("self", "cert"),
    },
    srv={"tls": {"cert": "good"}},
)

for _anchor in ("old-sub", "ca"):
    for _where in ("smtp_tls_trust_anchor_file", "smtp_tls_CAfile"):
        add(
            f"tls/expired-issuer-{_anchor}-in-{_where[9:]}",
            main={
                "smtp_tls_loglevel": "2",
                "smtp_tls_security_level": "verify",
                _where: f"/run/sidebyside/certificates/{_anchor}.pem",
            },
            srv={"tls": {"cert": "below-old"}},
        )
