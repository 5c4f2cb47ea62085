"""mysql, pgsql and ldap tables on real servers: next to postmap, which must give the same answers and warnings."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from compat.databases import installed, mariadb, openldap, postgresql
from compat.postmap import Postmap, postmap_path
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings

pytestmark = [
    pytest.mark.sidebyside,
    pytest.mark.skipif(postmap_path() is None, reason="no Postfix is installed"),
]
FLAGS = TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
ERRNO = re.compile("query error.*")
ROWS = r"""CREATE TABLE t (k varchar(100), v varchar(100), w varchar(100), n integer);
INSERT INTO t VALUES ('a','one','w1',1),('a2','x',NULL,2),('a2','y','yw',3),('a2','','',NULL),('n',NULL,NULL,4),
 ('o''r','quote','',5),('b\s','backslash','',6),('u@d.org','r@s.net','z',7),('é','ü','',8);
"""
SELECT = "query = select v from t where k='%s'"
LOGIN = "user = postfix\npassword = secret\ndbname = mail"


@dataclass(frozen=True)
class Server:
    """Where a server is, and what stands for that in the parameters below."""

    port: int
    directory: Path

    def parameters(self, text: str) -> str:
        return text.replace("PORT", str(self.port)).replace("DIRECTORY", str(self.directory))


def compare(spec: str, keys: list[str], postmap: Postmap, caplog: pytest.LogCaptureFixture) -> None:
    for key in keys:
        caplog.clear()
        opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=(3, 7, 11)))
        value, problem = None, []
        try:
            value = opener.open(spec, FLAGS).lookup(key)
        except FatalError as error:
            problem = [f"fatal: {error}"]
        except TableError:
            problem = [f"fatal: table {spec}: query error"]
        opener.close()
        ours = [re.sub(r"[\n\t]", "?", f"warning: {message}") for message in caplog.messages] + problem
        theirs, log = postmap.answer(spec, key)
        log = [line for line in log if "empty string" not in line and "NO RESULT" not in line]
        assert (value, ours) == (theirs, [ERRNO.sub("query error", line) for line in log]), key


def written(directory: Path, text: str) -> Path:
    path = directory / "source"
    path.write_text(text + "\n")
    os.utime(path, (1, 1))
    return path


SQL = {
    "rows": (SELECT, ["a", "a2", "n", "o'r", "b\\s", "none", "É", "u@d.org"]),
    "columns": ("query = select v,w,n from t where k='%s'", ["a", "a2", "n"]),
    "bad": ("query = foo", ["a"]),
    "no result set": ("query = set @x=1", ["a"]),
    "two statements": ("query = select 1; select 2", ["a"]),
    "semicolon": ("query = select 1;", ["a"]),
    "unsatisfied": ("query = select '%d'", ["a", "a@b"]),
    "limit": (f"{SELECT}\nexpansion_limit = 1", ["a", "a2"]),
    "parts": ("table = t\nselect_field = v\nwhere_field = k", ["a"]),
    "function": ("table = t\nselect_function = upper\nselect_field = v\nwhere_field = k", ["a"]),
    "format": (f"{SELECT}\nresult_format = <%s>", ["a", "a2"]),
}


@pytest.fixture(scope="module")
def mysql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not installed("mariadbd", "mariadb-install-db", "my_print_defaults"):
        pytest.skip("no MariaDB is installed")
    pytest.importorskip("pymysql")
    directory = tmp_path_factory.mktemp("mysql") / "m"
    with mariadb(directory, ROWS.replace("\\", "\\\\")) as port:
        yield Server(port, directory)


@pytest.fixture(scope="module")
def pgsql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not installed("initdb", "postgres"):
        pytest.skip("no PostgreSQL is installed")
    pytest.importorskip("psycopg")
    directory = tmp_path_factory.mktemp("pgsql") / "p"
    with postgresql(directory, ROWS) as port:
        yield Server(port, directory)


@pytest.mark.parametrize("name", SQL)
def test_queries_of_mysql(name: str, mysql: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text, keys = SQL[name]
    path = written(tmp_path, mysql.parameters(f"hosts = inet:127.0.0.1:PORT\n{LOGIN}\n{text}"))
    compare(f"mysql:{path}", keys, Postmap(tmp_path), caplog)


@pytest.mark.parametrize(
    "text",
    [
        "hosts = unix:DIRECTORY/socket\nuser = postfix\npassword = secret\ndbname = mail",
        "hosts = 127.0.0.1:PORT\nuser = postfix\npassword = secret\ndbname = mail",
        "hosts = inet:127.0.0.1:PORT\nuser = postfix\npassword = wrong\ndbname = mail",
        "hosts = inet:127.0.0.1:PORT\nuser = postfix\npassword = secret\ndbname = none",
        "hosts = inet:127.0.0.1:PORT\nuser = postfix\npassword = secret",
        "hosts = inet:127.0.0.1:1\nuser = postfix\npassword = secret\ndbname = mail",
        "hosts = unix:/none\nuser = postfix\npassword = secret\ndbname = mail",
        "hosts = inet:127.0.0.1:PORT unix:DIRECTORY/socket\nuser = postfix\npassword = secret\ndbname = mail",
    ],
)
def test_hosts_of_mysql(text: str, mysql: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, mysql.parameters(f"{text}\nquery = select 1"))
    compare(f"mysql:{path}", ["a"], Postmap(tmp_path), caplog)


@pytest.mark.parametrize("name", SQL)
def test_queries_of_pgsql(name: str, pgsql: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text, keys = SQL[name]
    path = written(tmp_path, pgsql.parameters(f"hosts = 127.0.0.1:PORT\n{LOGIN}\n{text}"))
    compare(f"pgsql:{path}", keys, Postmap(tmp_path), caplog)


@pytest.mark.parametrize(
    "text",
    [
        "hosts = inet:127.0.0.1:PORT\nuser = postfix\ndbname = mail",
        "hosts = postgresql://postfix@127.0.0.1:PORT/mail\ndbname = mail",
        "hosts = postgresql://postfix@127.0.0.1:PORT/mail",
        "hosts = 127.0.0.1:PORT\nuser = postfix\ndbname = none",
        "hosts = 127.0.0.1:1\nuser = postfix\ndbname = mail",
        "hosts = unix:/none\nuser = postfix\ndbname = mail",
        "hosts = unix:DIRECTORY\nuser = postfix\ndbname = mail",
    ],
)
def test_hosts_of_pgsql(text: str, pgsql: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, pgsql.parameters(f"{text}\nquery = select 1"))
    compare(f"pgsql:{path}", ["a"], Postmap(tmp_path), caplog)


def person(name: str, *attributes: str) -> str:
    lines = [
        f"dn: uid={name},ou=p,dc=example",
        "objectClass: inetOrgPerson",
        f"uid: {name}",
        f"cn: {name}",
        f"sn: {name}",
    ]
    return "\n".join([*lines, *attributes, "", ""])


PEOPLE = "".join(
    [
        "dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n",
        "dn: ou=p,dc=example\nobjectClass: organizationalUnit\nou: p\n\n",
        person("alice", "mail: alice@m.example", "description: d1"),
        person("multi", "mail: m1@x", "mail: m2@x"),
        person("star*", "mail: star@x"),
        person("none"),
        person("ref", "seeAlso: uid=alice,ou=p,dc=example", "seeAlso: uid=multi,ou=p,dc=example", "mail: ref@x"),
        person("badref", "seeAlso: uid=gone,ou=p,dc=example", "mail: badref@x"),
        person("loop", "seeAlso: uid=loop,ou=p,dc=example", "mail: loop@x"),
        person("url", "labeledURI: ldap:///ou=p,dc=example??sub?(uid=multi)", "mail: url@x"),
        person("term", "title: terminal", "seeAlso: uid=alice,ou=p,dc=example", "mail: term@x"),
        person("par(en)", "mail: paren@x"),
    ]
)
SERVER = "server_host = 127.0.0.1\nserver_port = PORT\nsearch_base = ou=p,dc=example\nversion = 3\n"
FILTER = "query_filter = (uid=%s)\n"
MAIL = f"{SERVER}{FILTER}result_attribute = mail\n"
SPECIAL = "special_result_attribute = seeAlso, labeledURI\n"
LDAP = {
    "keys": (MAIL, ["alice", "ALICE", "multi", "star*", "sta*", "none", "gone", "par(en)", "é", "*"]),
    "attributes": (f"{SERVER}{FILTER}result_attribute = mail, description", ["alice"]),
    "special": (MAIL + SPECIAL, ["ref", "badref", "url", "loop", "term"]),
    "leaf": (f"{SERVER}{FILTER}result_attribute =\nleaf_result_attribute = mail\n{SPECIAL}", ["ref", "badref", "url"]),
    "terminal": (f"{MAIL}{SPECIAL}terminal_result_attribute = title", ["term", "ref"]),
    "expansion limit": (f"{MAIL}expansion_limit = 1", ["alice", "multi"]),
    "size limit": (f"{SERVER}query_filter = (objectclass=*)\nresult_attribute = mail\nsize_limit = 1", ["alice"]),
    "no base": (f"{MAIL}search_base = ou=none,dc=example", ["alice"]),
    "base of key": (f"{MAIL}search_base = uid=%s,ou=p,dc=example\nscope = base", ["alice", "gone"]),
    "bad filter": (f"{MAIL}query_filter = (uid=%s", ["alice"]),
    "bind": (f"{MAIL}bind_dn = cn=admin,dc=example\nbind_pw = secret", ["alice"]),
    "bad bind": (f"{MAIL}bind_dn = cn=admin,dc=example\nbind_pw = wrong", ["alice"]),
    "no bind": (f"{MAIL}bind = no", ["alice"]),
    "unknown bind": (f"{MAIL}bind = foo", ["alice"]),
    "version 2": (f"{MAIL}version = 2", ["alice"]),
    "version 4": (f"{MAIL}version = 4", ["alice"]),
    "unknown scope": (f"{MAIL}scope = foo", ["alice"]),
    "url": (f"{MAIL}server_host = ldap://127.0.0.1:PORT", ["alice"]),
    "second host": (f"{MAIL}server_host = 127.0.0.1:1 127.0.0.1:PORT", ["alice"]),
    "recursion limit": (f"{MAIL}{SPECIAL}recursion_limit = 1", ["alice", "ref"]),
    "format": (f"{MAIL}result_filter = <%s>", ["multi"]),
    "no server": (f"{MAIL}server_port = 1", ["alice"]),
}


@pytest.fixture(scope="module")
def ldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not installed("slapd", "slapadd"):
        pytest.skip("no OpenLDAP is installed")
    pytest.importorskip("ldap")
    directory = tmp_path_factory.mktemp("ldap") / "l"
    with openldap(directory, PEOPLE) as port:
        yield Server(port, directory)


@pytest.mark.parametrize("name", LDAP)
def test_searches(name: str, ldap: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text, keys = LDAP[name]
    settings = dict(line.split(" = ", 1) for line in text.replace("=\n", "= \n").splitlines() if line)
    path = written(tmp_path, ldap.parameters("".join(f"{key} = {value}\n" for key, value in settings.items())))
    compare(f"ldap:{path}", keys, Postmap(tmp_path), caplog)
