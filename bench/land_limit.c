/* The limit of landing: a program that does only the necessary. It asks for the pages of a cursor-paginated resource over
 * one keep-alive connection and keeps their bodies: counted, hashed (SHA-256 of the decoded body), deflated at level 1
 * where they came plain, written, and made durable once per 64 pages. While one page is kept, the next is asked for: two
 * threads. It checks nothing, resumes nothing and knows this one API only.
 *
 *     land_limit URL FOLDER [gzip]      URL without the cursor: http://host/flights?limit=1000
 *
 * Prints {"pages":..,"records":..,"bytes":..}; FOLDER/pages.txt has the hash and the records of each page. */
#include <curl/curl.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGES_PER_SYNC = 64, WAITING_MAX = 16, BODY_MAX = 64 << 20 };

struct bytes {
	char *p;
	size_t n, cap;
};

struct page {
	struct bytes wire, plain; /* plain is empty where wire is plain */
};

static struct page queue[WAITING_MAX];
static size_t n_put, n_taken; /* of all time; a slot is reused once its page is kept */
static bool ended;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static const char *folder;
static unsigned long long n_records, n_bytes;

static void fail(const char *what)
{
	fprintf(stderr, "land_limit: %s\n", what);
	exit(1);
}

static void room(struct bytes *b, size_t n)
{
	if (b->cap >= n)
		return;
	b->cap = n + n / 2;
	b->p = realloc(b->p, b->cap);
	if (!b->p)
		fail("no memory");
}

/* ── keeping ── */

static int file_open(const char *name)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = n < 0 || (size_t)n >= sizeof path ? -1 : open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		fail("cannot create a file in the folder");
	return fd;
}

static void file_write(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);
		if (done <= 0)
			fail("cannot write");
		p += done;
		n -= (size_t)done;
	}
}

static void file_close(int fd)
{
	if (fdatasync(fd) != 0 || close(fd) != 0)
		fail("cannot make a file durable");
}

/* Records are the objects inside the outermost one and beside `meta`; texts with a brace would be counted, too: the caller
 * knows how many there are. */
static unsigned long count_records(struct bytes body)
{
	unsigned long n = 0;
	for (const char *p = body.p, *end = p + body.n; (p = memchr(p, '{', (size_t)(end - p))); p++)
		n++;
	return n < 2 ? 0 : n - 2;
}

static void keep(const struct page *page, int fd, FILE *list, struct libdeflate_compressor *deflate, struct bytes *out)
{
	struct bytes body = page->plain.n > 0 ? page->plain : page->wire;
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned hash_bytes;
	unsigned long records = count_records(body);
	if (!EVP_Digest(body.p, body.n, hash, &hash_bytes, EVP_sha256(), NULL))
		fail("cannot hash");
	for (unsigned i = 0; i < hash_bytes; i++)
		fprintf(list, "%02x", hash[i]);
	fprintf(list, " %lu\n", records);
	n_records += records;
	n_bytes += body.n;
	if (page->plain.n > 0) {
		file_write(fd, page->wire.p, page->wire.n);
		return;
	}
	room(out, libdeflate_gzip_compress_bound(deflate, body.n));
	size_t n = libdeflate_gzip_compress(deflate, body.p, body.n, out->p, out->cap);
	if (n == 0)
		fail("cannot deflate");
	file_write(fd, out->p, n);
}

static void *keeper(void *unused)
{
	(void)unused;
	struct libdeflate_compressor *deflate = libdeflate_alloc_compressor(1);
	struct bytes out = { 0 };
	char path[4096], name[32];
	int fd = -1;
	(void)snprintf(path, sizeof path, "%s/pages.txt", folder);
	FILE *list = fopen(path, "wxe");
	if (!deflate || !list)
		fail("cannot begin to keep pages");
	for (;;) {
		pthread_mutex_lock(&lock);
		while (n_put == n_taken && !ended)
			pthread_cond_wait(&changed, &lock);
		bool more = n_put > n_taken;
		size_t i = n_taken;
		pthread_mutex_unlock(&lock);
		if (!more)
			break;
		if (i % PAGES_PER_SYNC == 0) {
			if (fd >= 0)
				file_close(fd);
			(void)snprintf(name, sizeof name, "%08zu.gz", i);
			fd = file_open(name);
		}
		keep(&queue[i % WAITING_MAX], fd, list, deflate, &out);
		pthread_mutex_lock(&lock);
		n_taken++;
		pthread_cond_signal(&changed);
		pthread_mutex_unlock(&lock);
	}
	if (fd >= 0)
		file_close(fd);
	if (fflush(list) != 0 || fdatasync(fileno(list)) != 0 || fclose(list) != 0)
		fail("cannot write the list of pages");
	libdeflate_free_compressor(deflate);
	free(out.p);
	return NULL;
}

/* ── asking ── */

static size_t receive(char *p, size_t size, size_t n, void *user)
{
	struct bytes *b = user;
	(void)size; /* always 1 */
	if (b->n + n > BODY_MAX)
		return 0;
	room(b, b->n + n);
	memcpy(b->p + b->n, p, n);
	b->n += n;
	return n;
}

static struct page *slot_free(void)
{
	pthread_mutex_lock(&lock);
	while (n_put - n_taken == WAITING_MAX)
		pthread_cond_wait(&changed, &lock);
	struct page *page = &queue[n_put % WAITING_MAX];
	pthread_mutex_unlock(&lock);
	page->wire.n = page->plain.n = 0;
	return page;
}

static void slot_put(bool last)
{
	pthread_mutex_lock(&lock);
	n_put++;
	ended = last;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

/* The cursor's text as it stands behind the records, percent-encoded; false at the end. */
static bool find_next(struct bytes body, CURL *curl, char next[static 1024])
{
	static const char key[] = "\"next\":\"";
	size_t far = body.n > 1024 ? body.n - 1024 : 0;
	const char *at = memmem(body.p + far, body.n - far, key, sizeof key - 1);
	if (!at)
		return false;
	at += sizeof key - 1;
	const char *end = memchr(at, '"', (size_t)(body.p + body.n - at));
	if (!end)
		fail("a cursor has no end");
	char *escaped = curl_easy_escape(curl, at, (int)(end - at));
	if (!escaped || (size_t)snprintf(next, 1024, "%s", escaped) >= 1024)
		fail("a cursor is too long");
	curl_free(escaped);
	return true;
}

static void inflate(struct libdeflate_decompressor *d, struct page *page)
{
	const unsigned char *end = (const unsigned char *)page->wire.p + page->wire.n - 4;
	size_t n = page->wire.n < 18 ? 0 : end[0] | (size_t)end[1] << 8 | (size_t)end[2] << 16 | (size_t)end[3] << 24;
	if (n == 0 || n > BODY_MAX)
		fail("a body is no gzip");
	room(&page->plain, n);
	if (libdeflate_gzip_decompress(d, page->wire.p, page->wire.n, page->plain.p, n, &page->plain.n) != LIBDEFLATE_SUCCESS)
		fail("a body cannot be inflated");
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: land_limit URL FOLDER [gzip]\n");
		return 2;
	}
	bool gzip = argc > 3, more = true;
	folder = argv[2];
	CURL *curl = curl_easy_init();
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	pthread_t thread;
	if (!curl || !d || pthread_create(&thread, NULL, keeper, NULL) != 0)
		fail("cannot begin");
	struct curl_slist *headers = gzip ? curl_slist_append(NULL, "Accept-Encoding: gzip") : NULL;
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L << 10);
	char next[1024] = "", url[4096];
	while (more) {
		struct page *page = slot_free();
		int n = snprintf(url, sizeof url, "%s%s%s", argv[1], next[0] ? "&cursor=" : "", next);
		if (n < 0 || (size_t)n >= sizeof url)
			fail("the URL is too long");
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, &page->wire);
		if (curl_easy_perform(curl) != CURLE_OK)
			fail("a request failed");
		if (gzip)
			inflate(d, page);
		more = find_next(gzip ? page->plain : page->wire, curl, next);
		slot_put(!more);
	}
	pthread_join(thread, NULL);
	printf("{\"pages\":%zu,\"records\":%llu,\"bytes\":%llu}\n", n_put, n_records, n_bytes);
	return 0;
}
