"""Scenarios: sts."""

from compat.sidebyside.scenario import add

add(
    "sts/failure-attribute",
    min="3.10",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ { dest.test = secure match=mx1.dest.test:mx2.dest.test servername=hostname "
        + "policy_type=sts policy_domain=dest.test policy_ttl=86400 { policy_string = version: "
        + "STSv1 } { policy_string = mode: enforce } policy_failure=sts-policy-fetch-error } }",
    },
    srv={"tls": {"cert": "good"}},
)

add(
    "sts/pattern-none-match-yes",
    min="3.10.5",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ { dest.test = secure match=mx1.dest.test:mx2.dest.test servername=hostname "
        + "policy_type=sts policy_domain=dest.test policy_ttl=86400 { policy_string = version: "
        + "STSv1 } { policy_string = mode: enforce } mx_host_pattern=*.other.test } }",
        "smtp_tls_enforce_sts_mx_patterns": "yes",
    },
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.1:25", "tls": {}}, {"at": "192.0.2.2:25", "tls": {}}],
)

add(
    "sts/pattern-second-only-no",
    min="3.10.5",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ { dest.test = secure match=mx1.dest.test:mx2.dest.test servername=hostname "
        + "policy_type=sts policy_domain=dest.test policy_ttl=86400 { policy_string = version: "
        + "STSv1 } { policy_string = mode: enforce } mx_host_pattern=mx2.dest.test } }",
        "smtp_tls_enforce_sts_mx_patterns": "no",
    },
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.1:25", "tls": {}}, {"at": "192.0.2.2:25", "tls": {}}],
)

add(
    "sts/pattern-wildcard-too-deep-yes",
    min="3.10.5",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ { dest.test = secure match=mx1.dest.test:mx2.dest.test servername=hostname "
        + "policy_type=sts policy_domain=dest.test policy_ttl=86400 { policy_string = version: "
        + "STSv1 } { policy_string = mode: enforce } mx_host_pattern=*.test } }",
        "smtp_tls_enforce_sts_mx_patterns": "yes",
    },
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.1:25", "tls": {}}, {"at": "192.0.2.2:25", "tls": {}}],
)

add(
    "sts/pattern-wrong-certificate",
    min="3.10.5",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ { dest.test = secure match=mx1.dest.test:mx2.dest.test servername=hostname "
        + "policy_type=sts policy_domain=dest.test policy_ttl=86400 { policy_string = version: "
        + "STSv1 } { policy_string = mode: enforce } mx_host_pattern=*.dest.test } }",
    },
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.1:25", "tls": {"cert": "othername"}}, {"at": "192.0.2.2:25", "tls": {}}],
)

add(
    "sts/pattern-relayhost",
    min="3.10.5",
    main={
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ { dest.test = secure match=mx1.dest.test:mx2.dest.test servername=hostname "
        + "policy_type=sts policy_domain=dest.test policy_ttl=86400 { policy_string = version: "
        + "STSv1 } { policy_string = mode: enforce } mx_host_pattern=*.other.test } }",
        "relayhost": "dest.test",
    },
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.1:25", "tls": {}}, {"at": "192.0.2.2:25", "tls": {}}],
)
