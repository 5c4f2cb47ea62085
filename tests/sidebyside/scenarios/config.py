"""Scenarios: config."""

from compat.sidebyside.scenario import add, agents

add("config/int", main={"smtp_mx_address_limit": "abc"})

add("config/time-negative", main={"smtp_mail_timeout": "-5s"})

# the process dies a second after it has noticed; the server says nothing more, so that it does not matter when
add(
    "config/notify-classes",
    main={"notify_classes": "voodoo"},
    srv={"on": {"DOT": (("reply", "250 2.0.0 Ok"), ("hang",))}},
)

add("config/helo-name", main={"smtp_helo_name": "bad name!"})

add("config/undefined-macro", main={"smtp_helo_name": "$nosuchparam"})

add("config/macro-loop", main={"smtp_helo_name": "$smtp_helo_name"})

add("config/discard-keywords", main={"smtp_discard_ehlo_keywords": "voodoo"})

add("config/ip-policy", main={"smtp_bind_address": "256.1.1.1"})

add("config/reuse-limit", main={"smtp_connection_reuse_count_limit": "x"})

add("config/max-use", agents=agents("smtp -o max_use=x"))

add("config/compat-level-future", agents=agents("smtp -o compatibility_level=9.9"))

add("config/data-directory", agents=agents("smtp -o data_directory=/nosuch"))

add("config/import-environment", main={"import_environment": "TZ=UTC MAIL_CONFIG LANG=C X=y"})

add("config/o-option", agents=agents("smtp -o smtp_helo_name=o.test -o smtp_always_send_ehlo=yes"))

add("config/o-braces", agents=agents("smtp -o { smtp_helo_name = br.test }"))

add("config/o-unknown", agents=agents("smtp -o smtp_voodoo=1"))

add("config/bad-option", agents=agents("smtp -Q"))

add("config/verbose", agents=agents("smtp -v"), drop_log="^(?!<M1>: to=|<M1>: removed)")

add("config/debug-peer", main={"debug_peer_list": "mx1.dest.test"}, drop_log="^(?!<M1>: to=|<M1>: removed)")

add("config/syslog-facility-local5", main={"syslog_facility": "local5"})

add("config/chroot", chroot=True, agents=agents(jail="y"))

add(
    "config/chroot-tls",
    chroot=True,
    agents=agents(jail="y"),
    srv={"tls": {}},
    main={
        "smtp_tls_security_level": "verify",
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
    },
)

add("config/chroot-bounce", chroot=True, agents=agents(jail="y"), srv={"on": {"RCPT": "550 5.1.1 no"}})

add(
    "config/process-limit-one",
    srv={"on": {"DOT": (("sleep", 1), ("reply", "250 2.0.0 slow"))}},
    agents=agents(limit="1"),
    messages=[{"to": ["user@dest.test"], "via": "smtp"}, {"to": ["user@dest.test"], "via": "smtp"}],
    steps=[("sendquick", 0, 1), ("idle",)],
    concurrent=True,
    main={"smtp_connection_cache_on_demand": "no"},
)

add(
    "config/public-service",
    agents="smtp unix n - n - - smtp\nrelay unix - - n - - smtp\nlmtp unix - - n - - lmtp\n",
    steps=[("send", 0), ("idle", 4)],
)

add("config/ids-mail_owner-nobody", agents=agents("smtp -o mail_owner=nobody"))

add("config/ids-default_privs-root", agents=agents("smtp -o default_privs=root"))

add("config/ids-default_privs-nosuchuser", agents=agents("smtp -o default_privs=nosuchuser"))
