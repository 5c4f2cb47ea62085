from postfix_smtp.routing.resolv_conf import parse_resolver_config


def test_servers_options_and_search_list() -> None:
    config = parse_resolver_config(
        "# comment\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a.example b.example\n"
        "options timeout:3 attempts:4 rotate ndots:2 use-vc\n"
    )
    assert config.servers == ("192.0.2.1", "2001:db8::1")
    assert config.search == ("a.example", "b.example")
    assert (config.timeout, config.attempts, config.ndots, config.rotate, config.use_tcp) == (3, 4, 2, True, True)


def test_without_a_file_the_resolver_is_on_this_host() -> None:
    config = parse_resolver_config("")
    assert config.servers == ("127.0.0.1",)
    assert (config.timeout, config.attempts) == (5, 2)


def test_at_most_three_servers_and_the_environment_wins() -> None:
    text = "".join(f"nameserver 192.0.2.{n}\n" for n in range(1, 6)) + "options timeout:9\n"
    config = parse_resolver_config(text, "timeout:1")
    assert len(config.servers) == 3
    assert config.timeout == 1


def test_limits_of_the_system_resolver_hold() -> None:
    config = parse_resolver_config("options timeout:99 attempts:99 ndots:99\n")
    assert (config.timeout, config.attempts, config.ndots) == (30, 5, 15)
