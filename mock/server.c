#include "mock/server.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4000, EVENTS = 64, LINGER_US = 2 * US_PER_SECOND, READ_BYTES = 16384 };

enum state {
	READING, /* for a request */
	WAITING, /* until due_us, before the first byte or between pieces */
	SENDING,
	RESTING, /* until due_us, all sent, then `after` */
	ENDING,  /* our side is shut; until theirs is too or due_us: closing at once might turn into a reset */
};

struct connection {
	int fd;
	uint64_t number;
	enum state state;
	uint32_t events; /* what epoll watches */
	bool eof;        /* theirs: no request follows */
	bool full;       /* `in` is: reading goes on once its requests are answered */
	struct buf in;
	size_t in_used;  /* bytes of `in` that belong to requests already answered */
	struct answer answer;
	size_t head_sent, body_sent;
	int64_t due_us;
	struct connection *next, *prev;
};

static int64_t now_us(struct server *s)
{
	return s->mock->clock->monotonic_us(s->mock->clock);
}

/* ── opening ── */

static bool split_address(struct str text, struct arena *a, char **host, char **port)
{
	size_t colon = text.n;
	while (colon > 0 && text.p[colon - 1] != ':')
		colon--;
	if (colon < 2)
		return false;
	struct str h = str_sub(text, 0, colon - 1);
	if (h.p[0] == '[' && h.p[h.n - 1] == ']')
		h = str_sub(h, 1, h.n - 2);
	*host = arena_zero_terminated(a, h);
	*port = arena_zero_terminated(a, str_sub(text, colon, text.n));
	return true;
}

static bool open_listener(struct server *s, const struct addrinfo *to, struct err *e)
{
	int on = 1;
	struct sockaddr_storage bound;
	socklen_t n = sizeof bound;
	s->listen_fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->listen_fd < 0)
		return err_set_errno(e, ERR_STORAGE, errno, "socket");
	setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(s->listen_fd, to->ai_addr, to->ai_addrlen) != 0 || listen(s->listen_fd, 512) != 0)
		return err_set_errno(e, ERR_USAGE, errno, "listen");
	if (getsockname(s->listen_fd, (struct sockaddr *)&bound, &n) != 0)
		return err_set_errno(e, ERR_STORAGE, errno, "getsockname");
	s->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
						    : ((struct sockaddr_in *)&bound)->sin_port);
	return true;
}

static bool watch(struct server *s, int fd, void *what, struct err *e)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = what };
	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ||
	       err_set_errno(e, ERR_STORAGE, errno, "epoll_ctl");
}

bool server_open(struct server *s, struct str address, struct str *host, struct arena *a, struct err *e)
{
	char *name, *port;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found = NULL;
	*s = (struct server){ .listen_fd = -1, .epoll_fd = -1, .signal_fd = -1 };
	if (!split_address(address, a, &name, &port))
		return err_set(e, ERR_USAGE, "listen: `%.*s` is not address:port", STR_ARG(address));
	int why = getaddrinfo(name, port, &hints, &found);
	if (why != 0)
		return err_set(e, ERR_USAGE, "listen: %.*s: %s", STR_ARG(address), gai_strerror(why));
	*host = strchr(name, ':') ? arena_format(a, "[%s]", name) : str_from(name);
	bool ok = open_listener(s, found, e);
	freeaddrinfo(found);
	if (!ok)
		return err_wrap(e, "%.*s", STR_ARG(address));
	sigset_t ends;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->signal_fd = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->epoll_fd < 0 || s->signal_fd < 0)
		return err_set_errno(e, ERR_STORAGE, errno, "epoll or signalfd");
	return watch(s, s->listen_fd, &s->listen_fd, e) && watch(s, s->signal_fd, &s->signal_fd, e);
}

/* ── connections ── */

static void drop(struct server *s, struct connection *c)
{
	close(c->fd);
	*(c->prev ? &c->prev->next : &s->all) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->mock->stats.open_now--;
	if (c->state == WAITING || c->state == SENDING)
		s->mock->stats.in_flight--;
	answer_free(&c->answer);
	buf_free(&c->in);
	mem_free(c);
}

/* Tells epoll what we wait for. No EPOLLIN while bytes or the end of input stay unread: they would wake us for ever. */
static void set_events(struct server *s, struct connection *c, bool out)
{
	uint32_t wanted = (c->eof || c->full ? 0u : (uint32_t)EPOLLIN) | (out ? (uint32_t)EPOLLOUT : 0u);
	struct epoll_event ev = { .events = wanted, .data.ptr = c };
	if (wanted != c->events)
		epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
	c->events = wanted;
}

static void accept_all(struct server *s)
{
	for (;;) {
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
		if (fd < 0)
			return;
		if (s->mock->stats.open_now >= CONNECTIONS_MAX) {
			close(fd);
			continue;
		}
		struct connection *c = mem_alloc(sizeof *c);
		struct err e = ERR_INIT;
		c->fd = fd;
		c->number = ++s->connections;
		c->events = EPOLLIN;
		c->in = BUF_INIT(HTTP_HEAD_MAX + HTTP_BODY_MAX + READ_BYTES);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		c->next = s->all;
		if (c->next)
			c->next->prev = c;
		s->all = c;
		struct stats *t = &s->mock->stats;
		t->connections++;
		t->open_now++;
		t->open_most = t->open_now > t->open_most ? t->open_now : t->open_most;
		if (!watch(s, fd, c, &e))
			drop(s, c);
	}
}

/* ── sending ── */

/* How many bytes of the body may go out in this piece. */
static size_t piece_end(const struct answer *a, size_t sent)
{
	if (a->pieces < 2 || a->body.n == 0)
		return a->body.n;
	size_t piece = a->body.n / a->pieces + 1, end = (sent / piece + 1) * piece;
	return end < a->body.n ? end : a->body.n;
}

/* False: the connection is gone. Afterwards: all sent (RESTING), or blocked (SENDING), or a pause (WAITING). */
static bool send_some(struct server *s, struct connection *c)
{
	struct answer *a = &c->answer;
	size_t head = a->nothing ? 0 : a->head.n, body = a->nothing ? 0 : a->body.n;
	c->state = SENDING;
	while (c->head_sent < head || c->body_sent < body) {
		size_t end = piece_end(a, c->body_sent);
		struct iovec parts[2] = { { a->head.p + c->head_sent, head - c->head_sent },
					  { (void *)(uintptr_t)(a->body.p + c->body_sent), end - c->body_sent } };
		struct msghdr m = { .msg_iov = parts, .msg_iovlen = end > c->body_sent ? 2 : 1 };
		ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0)
			return false;
		size_t of_head = head - c->head_sent < (size_t)n ? head - c->head_sent : (size_t)n;
		c->head_sent += of_head;
		c->body_sent += (size_t)n - of_head;
		if (a->pieces > 1 && c->body_sent == end && end < body) {
			c->state = WAITING;
			c->due_us = now_us(s) + a->pause_us;
			return true;
		}
	}
	c->state = RESTING;
	s->mock->stats.in_flight--;
	c->due_us = a->linger_us ? now_us(s) + a->linger_us : 0;
	return true;
}

/* All is sent and rested. False: the connection is gone. */
static bool end_answer(struct server *s, struct connection *c)
{
	enum after after = c->answer.after;
	answer_free(&c->answer);
	c->state = READING;
	if (after == AFTER_KEEP)
		return true;
	if (after == AFTER_RESET) {
		struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		return false;
	}
	if (shutdown(c->fd, SHUT_WR) != 0 || c->eof)
		return false;
	c->state = ENDING;
	c->due_us = now_us(s) + LINGER_US;
	return true;
}

/* The next request in the buffer, if it is whole. */
static bool take_request(struct server *s, struct connection *c)
{
	struct http_request q;
	size_t used = 0;
	struct str in = str_sub(buf_str(&c->in), c->in_used, c->in.n);
	int status = in.n == 0 ? HTTP_MORE : http_read(in, &q, &used);
	if (status == HTTP_MORE)
		return false;
	if (status == HTTP_READY)
		answer_make(s->mock, &q, c->number, &c->answer);
	else
		answer_refuse(s->mock, status, &c->answer);
	c->in_used += used;
	c->head_sent = c->body_sent = 0;
	struct stats *t = &s->mock->stats;
	t->in_flight++;
	t->in_flight_most = t->in_flight > t->in_flight_most ? t->in_flight : t->in_flight_most;
	c->state = WAITING;
	c->due_us = c->answer.delay_us ? now_us(s) + c->answer.delay_us : 0;
	return true;
}

static void compact(struct connection *c)
{
	size_t left = c->in.n - c->in_used;
	if (left)
		memmove(c->in.p, c->in.p + c->in_used, left);
	c->in.n = left;
	c->in_used = 0;
	c->full = false;
}

/* As far as it goes without waiting. False: the connection is gone. */
static bool advance(struct server *s, struct connection *c)
{
	for (;;) {
		bool due = c->due_us == 0 || c->due_us <= now_us(s);
		switch (c->state) {
		case READING:
			if (!take_request(s, c)) {
				compact(c);
				return !c->eof;
			}
			break;
		case WAITING:
			if (!due)
				return true;
			if (!send_some(s, c))
				return false;
			break;
		case SENDING: return true; /* EPOLLOUT tells */
		case RESTING:
			if (!due)
				return true;
			if (!end_answer(s, c))
				return false;
			break;
		case ENDING: return !due && !c->eof;
		}
	}
}

/* False: the connection is gone. */
static bool read_some(struct connection *c)
{
	for (;;) {
		c->full = c->in.n + READ_BYTES > c->in.max;
		if (c->full) /* a client that pipelines a megabyte waits until we are through */
			return true;
		ssize_t n = recv(c->fd, buf_room(&c->in, READ_BYTES), READ_BYTES, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0) {
			c->eof = true;
			return true;
		}
		if (c->state != ENDING)
			c->in.n += (size_t)n;
		if ((size_t)n < READ_BYTES)
			return true;
	}
}

/* ── the loop ── */

static void on_event(struct server *s, struct connection *c, uint32_t events)
{
	bool alive = !(events & (EPOLLERR | EPOLLHUP));
	if (alive && events & EPOLLIN)
		alive = read_some(c);
	if (alive && events & EPOLLOUT && c->state == SENDING)
		alive = send_some(s, c);
	if (alive)
		alive = advance(s, c);
	if (alive)
		set_events(s, c, c->state == SENDING);
	else
		drop(s, c);
}

/* Runs what is due; the time until the next one, or -1. */
static int64_t run_due(struct server *s)
{
	int64_t now = now_us(s), next = -1;
	for (struct connection *c = s->all, *after; c; c = after) {
		after = c->next;
		bool waits = c->state == WAITING || c->state == RESTING || c->state == ENDING;
		if (waits && c->due_us <= now) {
			on_event(s, c, 0);
			next = 0;
		} else if (waits && (next < 0 || c->due_us - now < next)) {
			next = c->due_us - now;
		}
	}
	return next;
}

bool server_run(struct server *s, struct mock *m, struct err *e)
{
	struct epoll_event events[EVENTS];
	s->mock = m;
	for (;;) {
		int64_t wait = run_due(s);
		struct timespec limit = { .tv_sec = wait / US_PER_SECOND, .tv_nsec = wait % US_PER_SECOND * 1000 };
		int n = epoll_pwait2(s->epoll_fd, events, EVENTS, wait < 0 ? NULL : &limit, NULL);
		if (n < 0 && errno != EINTR)
			return err_set_errno(e, ERR_STORAGE, errno, "epoll_wait");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &s->signal_fd)
				return true;
			if (events[i].data.ptr == &s->listen_fd)
				accept_all(s);
			else
				on_event(s, events[i].data.ptr, events[i].events);
		}
	}
}

void server_close(struct server *s)
{
	while (s->all)
		drop(s, s->all);
	int fds[] = { s->listen_fd, s->epoll_fd, s->signal_fd };
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}
