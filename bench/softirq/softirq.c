/*
 * Counts softirq time until its input ends:  softirq OBJECT
 *
 *   own PID …   these processes' CPU time holds what comes while they run
 *   read        prints [[outside ns, inside ns], …], one for each CPU
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct account {
  uint64_t since, outside_ns, inside_ns;
};

static void stop(const char *what) {
  perror(what);
  exit(1);
}

static void set_own(int map, char *pids) {
  uint32_t key, one = 1;
  while (bpf_map_get_next_key(map, NULL, &key) == 0) bpf_map_delete_elem(map, &key);
  for (char *pid = strtok(pids, " \n"); pid != NULL; pid = strtok(NULL, " \n")) {
    key = (uint32_t)strtoul(pid, NULL, 10);
    if (bpf_map_update_elem(map, &key, &one, BPF_ANY) != 0) stop("own");
  }
}

static void print(int map, int cpus) {
  struct account accounts[cpus];
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(map, &zero, accounts) != 0) stop("read");
  for (int cpu = 0; cpu < cpus; cpu++) {
    printf("%s[%llu,%llu]", cpu == 0 ? "[" : ",", (unsigned long long)accounts[cpu].outside_ns,
           (unsigned long long)accounts[cpu].inside_ns);
  }
  printf("]\n");
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
  if (object == NULL || bpf_object__load(object) != 0) stop(argv[1]);
  struct bpf_program *program;
  bpf_object__for_each_program(program, object) {
    if (bpf_program__attach(program) == NULL) stop("attach");
  }
  int accounts = bpf_object__find_map_fd_by_name(object, "accounts");
  int own = bpf_object__find_map_fd_by_name(object, "own");
  char line[8192];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    if (strncmp(line, "own ", 4) == 0) set_own(own, line + 4);
    if (strncmp(line, "read", 4) == 0) print(accounts, libbpf_num_possible_cpus());
  }
  return 0;
}
