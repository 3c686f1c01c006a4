/*
 * uses: fill memory in one way each, and hold it until killed.
 *
 *   uses anon MIB        own memory, of bytes that don't compress
 *   uses locked MIB      the same under mlock
 *   uses huge COUNT      huge pages out of the pool
 *   uses tables COUNT    page tables only: the zero page read in each 2 MiB
 *   uses threads COUNT   idle threads
 *   uses objects COUNT   empty pipes: kernel objects that can't be given back
 *   uses pages MIB       full pipes: pages of the kernel's that can't be moved
 *   uses every-other MIB the same, then every other page is given back
 *   uses file MIB PATH   map the file and read it round and round
 *   uses cached MIB PATH map the file and read it once
 *   uses gpu MIB         buffers of the graphics card's driver (qxl)
 *   uses hog             own memory without end
 *   uses forks           idle children without end
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB (1L << 20)
#define PAGE 4096L
#define HUGE_PAGE (2 * MIB)
#define PIPE_BYTES MIB

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

static void hold(void)
{
	printf("uses: holds\n");
	fflush(stdout);
	for (;;)
		pause();
}

static char *map(long bytes, int access, int flags, int fd)
{
	char *start = mmap(NULL, bytes, access, flags, fd, 0);

	if (start == MAP_FAILED)
		fail("mmap");
	return start;
}

static char *own(long bytes, int flags)
{
	return map(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1);
}

static void scribble(char *start, long bytes)
{
	static uint64_t state = 88172645463325252ULL;

	for (long i = 0; i < bytes; i += sizeof(state)) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(start + i, &state, sizeof(state));
	}
}

static void *idle(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void start_threads(long count)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 16384);
	while (count--)
		if (pthread_create(&thread, &attributes, idle, NULL))
			fail("pthread_create");
}

static void new_pipe(int ends[2], int bytes)
{
	if (pipe(ends))
		fail("pipe");
	if (bytes && fcntl(ends[1], F_SETPIPE_SZ, bytes) < 0)
		fail("F_SETPIPE_SZ");
}

static void put_pages(int ends[2], long pages)
{
	static char page[PAGE];

	while (pages--)
		if (write(ends[1], page, PAGE) != PAGE)
			fail("write");
}

static void fill_pipes(long mib)
{
	int ends[2];

	while (mib--) {
		new_pipe(ends, PIPE_BYTES);
		put_pages(ends, PIPE_BYTES / PAGE);
	}
}

static void every_other(long mib)
{
	int (*given_back)[2] = calloc(mib, sizeof(*given_back)), kept[2];

	for (long i = 0; i < mib / 2; i++) {
		new_pipe(kept, PIPE_BYTES);
		new_pipe(given_back[i], PIPE_BYTES);
		for (long page = 0; page < PIPE_BYTES / PAGE; page++) {
			put_pages(kept, 1);
			put_pages(given_back[i], 1);
		}
	}
	for (long i = 0; i < mib / 2; i++) {
		close(given_back[i][0]);
		close(given_back[i][1]);
	}
}

static volatile char *file(long mib, const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		fail(path);
	return map(mib * MIB, PROT_READ, MAP_SHARED, fd);
}

static void read_pages(volatile char *start, long mib)
{
	for (long i = 0; i < mib * MIB; i += PAGE)
		(void)start[i];
}

/* include/uapi/drm/qxl_drm.h, which needs libdrm's headers */
struct qxl_alloc {
	uint32_t size, handle;
};
struct qxl_map {
	uint64_t offset;
	uint32_t handle, padding;
};
#define QXL_ALLOC _IOWR('d', 0x40, struct qxl_alloc)
#define QXL_MAP _IOWR('d', 0x41, struct qxl_map)
#define QXL_BYTES (4 * MIB)

static void fill_buffers(long mib)
{
	int card = open("/dev/dri/card0", O_RDWR);

	if (card < 0)
		fail("/dev/dri/card0");
	for (long done = 0; done < mib * MIB; done += QXL_BYTES) {
		struct qxl_alloc one = { QXL_BYTES, 0 };
		struct qxl_map map_of = { 0, 0, 0 };
		char *start;

		if (ioctl(card, QXL_ALLOC, &one))
			fail("QXL_ALLOC");
		map_of.handle = one.handle;
		if (ioctl(card, QXL_MAP, &map_of))
			fail("QXL_MAP");
		start = mmap(NULL, QXL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, card, map_of.offset);
		if (start == MAP_FAILED)
			fail("mmap");
		for (long i = 0; i < QXL_BYTES; i += PAGE)
			start[i] = 1;
	}
}

static void fork_for_ever(void)
{
	for (;;) {
		pid_t pid = fork();

		if (!pid)
			hold();
		if (pid < 0)
			usleep(10000);
	}
}

static void take(const char *use, long count, const char *path)
{
	char *start;
	int ends[2];

	if (!strcmp(use, "anon")) {
		scribble(own(count * MIB, 0), count * MIB);
	} else if (!strcmp(use, "locked")) {
		if (mlockall(MCL_FUTURE))
			fail("mlockall");
		own(count * MIB, 0);
	} else if (!strcmp(use, "huge")) {
		start = own(count * HUGE_PAGE, MAP_HUGETLB);
		for (long i = 0; i < count; i++)
			start[i * HUGE_PAGE] = 1;
	} else if (!strcmp(use, "tables")) {
		start = map(count * HUGE_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
		madvise(start, count * HUGE_PAGE, MADV_NOHUGEPAGE);
		for (long i = 0; i < count; i++)
			(void)((volatile char *)start)[i * HUGE_PAGE];
	} else if (!strcmp(use, "threads")) {
		start_threads(count);
	} else if (!strcmp(use, "objects")) {
		while (count--)
			new_pipe(ends, 0);
	} else if (!strcmp(use, "pages")) {
		fill_pipes(count);
	} else if (!strcmp(use, "every-other")) {
		every_other(count);
	} else if (!strcmp(use, "file")) {
		for (volatile char *start = file(count, path);;)
			read_pages(start, count);
	} else if (!strcmp(use, "cached")) {
		read_pages(file(count, path), count);
	} else if (!strcmp(use, "gpu")) {
		fill_buffers(count);
	} else if (!strcmp(use, "forks")) {
		fork_for_ever();
	} else if (!strcmp(use, "hog")) {
		for (;;)
			scribble(own(MIB, 0), MIB);
	}
}

int main(int count, char **words)
{
	struct rlimit files = { 1 << 20, 1 << 20 };

	if (count < 2)
		return 2;
	prctl(PR_SET_NAME, words[1]);
	setrlimit(RLIMIT_NOFILE, &files);
	take(words[1], count > 2 ? atol(words[2]) : 0, count > 3 ? words[3] : NULL);
	hold();
}
