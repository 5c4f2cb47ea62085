/*
 * SMTP sink for benchmarks: epoll, several processes on one port, optional STARTTLS, optional latency of replies,
 * optional hang. Counters are in a shared file:
 *   u64 messages, connections, hung, handshakes, resumed, bytes, last_message_ns (CLOCK_MONOTONIC)
 * usage: sink PORT PROCESSES DELAY_MS COUNTER_FILE [hang=GREET|EHLO|MAIL|RCPT|DATA|DOT] [cert.pem key.pem]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct counters { uint64_t messages, connections, hung, handshakes, resumed, bytes, last_ns; };
static struct counters *count;
static SSL_CTX *ctx;
static int delay_ms, ep;
static const char *hang = "";

struct conn {
    int fd, data, tls_wait, dead, refs;
    SSL *ssl;
    char line[2048];
    int len;                    /* of a partial command line */
    unsigned tail;              /* the last five bytes of the body, for CRLF.CRLF */
    uint64_t tail5;
};
struct reply { struct conn *c; uint64_t due; const char *text; int quit, starttls; struct reply *next; };
static struct reply *first, **last = &first;

static uint64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void put(struct conn *c, const char *s)
{
    size_t n = strlen(s);
    if (c->dead)
        return;
    if (c->ssl)
        SSL_write(c->ssl, s, n);
    else if (send(c->fd, s, n, MSG_NOSIGNAL) < 0)
        ;
}

static void drop(struct conn *c)
{
    if (!c->dead) {
        c->dead = 1;
        if (c->ssl) {
            SSL_shutdown(c->ssl);
            SSL_free(c->ssl);
            c->ssl = 0;
        }
        close(c->fd);
    }
    if (c->refs == 0)
        free(c);
}

static void handshake(struct conn *c)
{
    int r = SSL_accept(c->ssl);
    if (r == 1) {
        c->tls_wait = 0;
        __sync_fetch_and_add(&count->handshakes, 1);
        if (SSL_session_reused(c->ssl))
            __sync_fetch_and_add(&count->resumed, 1);
    } else {
        int e = SSL_get_error(c->ssl, r);
        if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
            SSL_free(c->ssl);
            c->ssl = 0;
            drop(c);
        }
    }
}

static void now_do(struct conn *c, const char *text, int quit, int starttls)
{
    put(c, text);
    if (starttls && !c->dead) {
        c->ssl = SSL_new(ctx);
        SSL_set_fd(c->ssl, c->fd);
        c->tls_wait = 1;
        handshake(c);
    } else if (quit)
        drop(c);
}

static void answer(struct conn *c, const char *text, int quit, int starttls)
{
    if (delay_ms == 0) {
        now_do(c, text, quit, starttls);
        return;
    }
    struct reply *r = malloc(sizeof *r);
    *r = (struct reply) { c, now() + delay_ms * 1000000ull, text, quit, starttls, 0 };
    c->refs++;
    *last = r;
    last = &r->next;
}

static void command(struct conn *c, char *s)
{
    if (*hang && !strncasecmp(s, hang, strlen(hang)))
        __sync_fetch_and_add(&count->hung, 1);
    else if (!strncasecmp(s, "EHLO", 4) || !strncasecmp(s, "LHLO", 4))
        answer(c, ctx && !c->ssl ? "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 100000000\r\n250 STARTTLS\r\n"
               : "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n", 0, 0);
    else if (!strncasecmp(s, "STARTTLS", 8))
        answer(c, "220 go\r\n", 0, 1);
    else if (!strncasecmp(s, "DATA", 4)) {
        c->data = 1;
        c->tail5 = 0x0d0a;
        answer(c, "354 go\r\n", 0, 0);
    } else if (!strncasecmp(s, "RCPT", 4) && !strcmp(hang, "RCPT"))
        __sync_fetch_and_add(&count->hung, 1);
    else if (!strncasecmp(s, "QUIT", 4))
        answer(c, "221 bye\r\n", 1, 0);
    else
        answer(c, "250 2.0.0 ok\r\n", 0, 0);
}

static void input(struct conn *c, char *b, int n)
{
    int i = 0;
    while (i < n && !c->dead) {
        if (c->data) {
            /* the end of the body is CR LF . CR LF; jump from dot to dot */
            while (i < n) {
                unsigned char ch = b[i++];
                c->tail5 = (c->tail5 << 8 | ch) & 0xffffffffffull;
                if (ch == '\n' && c->tail5 == 0x0d0a2e0d0aull)
                    break;
                if (ch != '\n' && ch != '\r' && ch != '.') {
                    char *next = memchr(b + i, '\n', n - i);
                    int skip = next ? next - (b + i) - 1 : n - i - 4;
                    if (skip > 4) {
                        i += skip;
                        c->tail5 = 0;
                    }
                }
            }
            if (c->tail5 == 0x0d0a2e0d0aull) {
                c->data = 0;
                c->tail5 = 0;
                if (!strcmp(hang, "DOT")) {
                    __sync_fetch_and_add(&count->hung, 1);
                    continue;
                }
                count->last_ns = now();
                __sync_fetch_and_add(&count->messages, 1);
                answer(c, "250 2.0.0 ok queued\r\n", 0, 0);
            }
        } else {
            char ch = b[i++];
            if (c->len < (int) sizeof c->line - 1)
                c->line[c->len++] = ch;
            if (ch == '\n') {
                c->line[c->len] = 0;
                c->len = 0;
                command(c, c->line);
            }
        }
    }
}

static void readable(struct conn *c)
{
    static char buf[262144];
    if (c->tls_wait) {
        handshake(c);
        if (c->dead || c->tls_wait)
            return;
    }
    for (;;) {
        int n = c->ssl ? SSL_read(c->ssl, buf, sizeof buf) : (int) recv(c->fd, buf, sizeof buf, 0);
        if (n > 0) {
            __sync_fetch_and_add(&count->bytes, n);
            c->refs++;
            input(c, buf, n);
            c->refs--;
            if (c->dead) {
                drop(c);
                return;
            }
            if (c->tls_wait)
                return;
            continue;
        }
        if (c->ssl) {
            int e = SSL_get_error(c->ssl, n);
            if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
                return;
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        drop(c);
        return;
    }
}

static void serve(int port)
{
    int one = 1, ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(ls, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(ls, (void *) &a, sizeof a) || listen(ls, 1024)) {
        perror("bind");
        exit(1);
    }
    ep = epoll_create1(0);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = 0 }, evs[128];
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &ev);
    for (;;) {
        int wait = -1;
        if (first) {
            int64_t left = (int64_t) first->due - (int64_t) now();
            wait = left <= 0 ? 0 : (int) ((left + 999999) / 1000000);
        }
        int n = epoll_wait(ep, evs, 128, wait);
        for (int i = 0; i < n; i++) {
            struct conn *c = evs[i].data.ptr;
            if (c) {
                readable(c);
                continue;
            }
            int fd;
            while ((fd = accept4(ls, 0, 0, SOCK_NONBLOCK)) >= 0) {
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                c = calloc(1, sizeof *c);
                c->fd = fd;
                __sync_fetch_and_add(&count->connections, 1);
                ev = (struct epoll_event) { .events = EPOLLIN, .data.ptr = c };
                epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
                if (!strcmp(hang, "GREET"))
                    __sync_fetch_and_add(&count->hung, 1);
                else
                    answer(c, "220 sink ESMTP\r\n", 0, 0);
            }
        }
        while (first && first->due <= now()) {
            struct reply *r = first;
            if (!(first = r->next))
                last = &first;
            r->c->refs--;
            if (!r->c->dead)
                now_do(r->c, r->text, r->quit, r->starttls);
            else if (r->c->refs == 0)
                free(r->c);
            free(r);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    int port = atoi(argv[1]), procs = atoi(argv[2]), at = 5;
    delay_ms = atoi(argv[3]);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(argv[4], O_RDWR | O_CREAT, 0644);
    if (fd < 0 || ftruncate(fd, 4096))
        return 3;
    count = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (argc > at && !strncmp(argv[at], "hang=", 5))
        hang = argv[at++] + 5;
    if (argc > at + 1) {
        ctx = SSL_CTX_new(TLS_server_method());
        if (SSL_CTX_use_certificate_chain_file(ctx, argv[at]) != 1 || SSL_CTX_use_PrivateKey_file(ctx, argv[at + 1], SSL_FILETYPE_PEM) != 1)
            return 4;
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    }
    for (int i = 1; i < procs; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            break;
        }
    serve(port);
}
