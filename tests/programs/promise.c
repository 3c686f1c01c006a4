// As a kernel's first process: sets vm.overcommit_memory 2, prints the machine's counters, and how
// much a single request may then ask for, with CAP_SYS_ADMIN and without.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

static char buffer[1 << 20];

static void must(int fine, const char *what) {
	if (!fine) {
		perror(what);
		reboot(RB_POWER_OFF);
	}
}

static void put(const char *name, const char *text) {
	int file = open(name, O_WRONLY);
	must(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text), name);
	close(file);
}

static long get(const char *name) {
	int file = open(name, O_RDONLY), size = 0, part;
	must(file >= 0, name);
	while ((part = read(file, buffer + size, sizeof buffer - 1 - size)) > 0)
		size += part;
	close(file);
	buffer[size] = 0;
	return atol(buffer);
}

static void show(const char *name) {
	get(name);
	printf("=== %s\n%s", name, buffer);
}

static int granted(size_t pages) {
	size_t size = pages * getpagesize();
	void *there = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (there == MAP_FAILED)
		return 0;
	munmap(there, size);
	return 1;
}

static void ask(const char *who) {
	size_t low = 0, high = 1 << 20;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		if (granted(middle))
			low = middle;
		else
			high = middle;
	}
	get("/proc/self/statm");
	printf("=== %s\n%zu %ld\n", who, low, atol(buffer));
	fflush(stdout);
}

int main(void) {
	mount("dev", "/dev", "devtmpfs", 0, 0);
	int console = open("/dev/ttyS0", O_RDWR);
	dup2(console, 1), dup2(console, 2);
	mkdir("/proc", 0755);
	must(mount("proc", "/proc", "proc", 0, 0) == 0, "mount");
	put("/proc/sys/vm/overcommit_memory", "2");
	size_t held = 40 << 20;
	must(mmap(0, held, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED,
	     "mmap");
	const char *names[] = {"meminfo", "zoneinfo", "uptime", "stat", "vmstat", "version",
		"sys/kernel/osrelease", "sys/vm/overcommit_memory", "sys/vm/overcommit_ratio",
		"sys/vm/admin_reserve_kbytes", "sys/vm/user_reserve_kbytes", 0};
	printf("lab: log\n");
	for (const char **name = names; *name; name++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%s", *name);
		show(path);
	}
	ask("root");
	must(seteuid(65534) == 0, "seteuid");
	ask("other");
	must(seteuid(0) == 0, "seteuid");
	printf("=== end\nlab: end\n");
	fflush(stdout);
	sleep(1);
	reboot(RB_POWER_OFF);
}
