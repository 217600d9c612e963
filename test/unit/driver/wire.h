/* A server on loopback that says exactly the bytes it was told to, for what no real server does. */
#ifndef SLUICE_TEST_WIRE_H
#define SLUICE_TEST_WIRE_H

#include "base/str.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum wire_end {
	WIRE_KEEP,  /* wait for the next request on the same connection */
	WIRE_CLOSE, /* FIN */
	WIRE_RESET, /* RST */
	WIRE_HANG,  /* say nothing more until the other side goes */
};
struct wire_reply {
	const char *bytes, *repeated; /* `repeated` is said `times` times after `bytes`, then `last` */
	size_t times;
	const char *last;
	enum wire_end end;
	size_t n; /* of bytes; 0: NUL-terminated */
};
struct wire {
	const struct wire_reply *replies; /* one a request, over all connections; the last one stays */
	size_t n_replies;
	int listener, stop[2];
	unsigned port;
	pthread_t thread;
	atomic_uint connections, requests;
	char seen[1 << 16]; /* all requests, one after the other */
	size_t n_seen;
};

static void wire_say(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
		if (put <= 0)
			return;
		p += put;
		n -= (size_t)put;
	}
}

/* Reads up to the end of one request (head, and a body by its Content-Length). */
static bool wire_hear(struct wire *w, int fd)
{
	static const char length[] = "Content-Length: ";
	size_t start = w->n_seen, body = 0;
	for (;;) {
		struct pollfd fds[2] = { { fd, POLLIN, 0 }, { w->stop[0], POLLIN, 0 } };
		w->seen[w->n_seen] = 0;
		char *end = strstr(w->seen + start, "\r\n\r\n");
		char *declared = end ? strstr(w->seen + start, length) : NULL;
		if (declared && declared < end)
			body = strtoul(declared + sizeof length - 1, NULL, 10);
		if (end && (size_t)(w->seen + w->n_seen - end - 4) >= body)
			return true;
		poll(fds, 2, -1);
		if (fds[1].revents || w->n_seen + 1 >= sizeof w->seen)
			return false;
		ssize_t n = recv(fd, w->seen + w->n_seen, sizeof w->seen - 1 - w->n_seen, 0);
		if (n <= 0)
			return false;
		w->n_seen += (size_t)n;
		if ((unsigned char)w->seen[start] == 0x16)
			return true; /* a TLS hello: answered like any request */
	}
}

static bool wire_reply(struct wire *w, int fd)
{
	unsigned i = atomic_fetch_add(&w->requests, 1);
	const struct wire_reply *r = &w->replies[i < w->n_replies ? i : w->n_replies - 1];
	char rest[256];
	if (r->bytes)
		wire_say(fd, r->bytes, r->n ? r->n : strlen(r->bytes));
	for (size_t k = 0; k < r->times; k++)
		wire_say(fd, r->repeated, strlen(r->repeated));
	if (r->last)
		wire_say(fd, r->last, strlen(r->last));
	if (r->end == WIRE_RESET) {
		struct linger now = { 1, 0 };
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	}
	if (r->end == WIRE_HANG) {
		struct pollfd fds[2] = { { fd, POLLIN, 0 }, { w->stop[0], POLLIN, 0 } };
		while (poll(fds, 2, -1) > 0 && !fds[1].revents && recv(fd, rest, sizeof rest, 0) > 0)
			;
	}
	return r->end == WIRE_KEEP;
}

static void *wire_run(void *user)
{
	struct wire *w = user;
	for (;;) {
		struct pollfd fds[2] = { { w->listener, POLLIN, 0 }, { w->stop[0], POLLIN, 0 } };
		poll(fds, 2, -1);
		if (fds[1].revents)
			return NULL;
		int fd = accept(w->listener, NULL, NULL);
		if (fd < 0)
			continue;
		atomic_fetch_add(&w->connections, 1);
		while (wire_hear(w, fd) && wire_reply(w, fd))
			;
		close(fd);
	}
}

static void wire_open(struct wire *w, const struct wire_reply *replies, size_t n_replies)
{
	memset(w, 0, sizeof *w);
	w->replies = replies;
	w->n_replies = n_replies;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (w->listener < 0 || bind(w->listener, (struct sockaddr *)&a, sizeof a) || listen(w->listener, 16) ||
	    getsockname(w->listener, (struct sockaddr *)&a, &n) || pipe(w->stop) ||
	    pthread_create(&w->thread, NULL, wire_run, w))
		abort();
	w->port = ntohs(a.sin_port);
}

static void wire_close(struct wire *w)
{
	close(w->stop[1]);
	pthread_join(w->thread, NULL);
	close(w->stop[0]);
	close(w->listener);
}

#endif
