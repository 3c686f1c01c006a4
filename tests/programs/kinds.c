/* One mapping of every kind: kinds ARENA_THREADS. Prints "NAME ADDRESS" lines, then "ready". */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <fcntl.h>
#include <unistd.h>

#define MIB (1 << 20)

static char bss[8 * MIB];
static char data[MIB] = {1};
static pthread_barrier_t started;

static void *worker(void *unused)
{
	char here = 1;
	char *block = malloc(100 * 1024); /* below the mmap threshold: from this thread's arena */

	(void)unused;
	memset(block, 1, 100 * 1024);
	printf("arena %p\nthread_stack %p\n", (void *)block, (void *)&here);
	pthread_barrier_wait(&started);
	pause();
	return NULL;
}

static void *touched(void *block, size_t size)
{
	memset(block, 1, size);
	return block;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 0, fd;
	const char *tmpfs = argc > 2 ? argv[2] : NULL, *file = argc > 3 ? argv[3] : NULL;
	char here = 1;
	pthread_t thread;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("text %p\ndata %p\nbss %p\nmain_stack %p\n", (void *)main, (void *)data,
	       touched(bss, sizeof bss), (void *)&here);
	printf("heap %p\n", touched(malloc(64 * 1024), 64 * 1024));
	printf("anon %p\n", touched(malloc(16 * MIB), 16 * MIB));
	printf("shared_anon %p\n",
	       touched(mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
		       4 * MIB));
	fd = memfd_create("a\nb", 0);
	if (fd >= 0 && ftruncate(fd, 2 * MIB) == 0)
		printf("memfd %p\n",
		       touched(mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), 2 * MIB));
	fd = shmget(IPC_PRIVATE, MIB, 0600);
	if (fd >= 0) {
		void *at = shmat(fd, NULL, 0);

		shmctl(fd, IPC_RMID, NULL);
		printf("sysv %p\n", touched(at, MIB));
	}
	if (tmpfs && (fd = open(tmpfs, O_RDWR | O_CREAT, 0600)) >= 0 && ftruncate(fd, MIB) == 0)
		printf("tmpfs %p\n",
		       touched(mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MIB));
	if (file && (fd = open(file, O_RDWR | O_CREAT, 0600)) >= 0 && ftruncate(fd, MIB) == 0)
		printf("file %p\n", touched(mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MIB));
	printf("library %p\n", (void *)strlen);
	printf("reserved %p\n",
	       mmap(NULL, 200UL << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	printf("sparse %p\n", mmap(NULL, 200UL << 30, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	pthread_barrier_init(&started, NULL, threads + 1);
	for (int i = 0; i < threads; i++)
		pthread_create(&thread, NULL, worker, NULL);
	pthread_barrier_wait(&started);
	puts("ready");
	for (;;)
		pause();
}
