/*
 * libmosquitto as a contender: publishes to the null server or receives from it, and prints its figures as JSON.
 *
 *   libmosquitto PORT publish|receive QOS PAYLOAD WINDOW TOPICS VERSION WARM_UP COUNT
 */
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static struct mosquitto *client;
static int qos, window, topics;
static long outstanding, received, subscribed, told;
static int telling = -1;
static int payload_length;
static char *payload;

static void fail(const char *what, int code)
{
	fprintf(stderr, "libmosquitto: %s: %s\n", what, mosquitto_strerror(code));
	exit(1);
}

static void on_publish(struct mosquitto *m, void *data, int id)
{
	(void)m, (void)data;
	if (id == telling)
		told = 1;
	else
		outstanding--;
}

static void on_subscribe(struct mosquitto *m, void *data, int id, int count, const int *granted)
{
	(void)m, (void)data, (void)id, (void)count, (void)granted;
	subscribed = 1;
}

static void on_message(struct mosquitto *m, void *data, const struct mosquitto_message *message)
{
	(void)m, (void)data;
	if (message->payloadlen > 0)
		received++;
}

static void loop(void)
{
	int code = mosquitto_loop(client, 1000, 1);
	if (code != MOSQ_ERR_SUCCESS)
		fail("loop", code);
}

/* Publishes one message with QoS 1 and waits for its PUBACK. */
static void tell(const char *topic, const char *text)
{
	told = 0;
	int code = mosquitto_publish(client, &telling, topic, (int)strlen(text), text, 1, false);
	if (code != MOSQ_ERR_SUCCESS)
		fail("publish", code);
	while (!told)
		loop();
	telling = -1;
}

static void publish_all(long count)
{
	char topic[64];
	long made = 0;
	while (made < count || outstanding > 0) {
		while (made < count && outstanding < window) {
			snprintf(topic, sizeof topic, "site/%05ld/line/3/sensor/celsius", made % topics);
			outstanding++;
			made++;
			int code = mosquitto_publish(client, NULL, topic, payload_length, payload, qos, false);
			if (code != MOSQ_ERR_SUCCESS)
				fail("publish", code);
		}
		if (outstanding > 0)
			loop();
	}
	if (qos == 0)
		tell("end", "");
}

static void receive_all(long count)
{
	char demand[128];
	snprintf(demand, sizeof demand, "{\"messages\":%ld,\"payload\":%d,\"qos\":%d,\"topics\":%d,\"order\":\"in-turn\"}", count,
		 payload_length, qos, topics);
	received = 0;
	tell("go", demand);
	while (received < count)
		loop();
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

struct usage {
	double cpu, wall, peak;
	double reads, writes;
};

static struct usage usage(void)
{
	struct usage u = { 0, 0, 0, -1, -1 };
	struct rusage r;
	struct timespec now;
	getrusage(RUSAGE_SELF, &r);
	clock_gettime(CLOCK_MONOTONIC, &now);
	u.cpu = seconds(r.ru_utime) + seconds(r.ru_stime);
	u.wall = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	u.peak = (double)r.ru_maxrss / 1024;
	FILE *file = fopen("/proc/self/io", "r");
	if (file != NULL) {
		char line[128];
		while (fgets(line, sizeof line, file) != NULL) {
			sscanf(line, "syscr: %lf", &u.reads);
			sscanf(line, "syscw: %lf", &u.writes);
		}
		fclose(file);
	}
	return u;
}

int main(int argc, char **argv)
{
	if (argc != 10)
		return 2;
	int port = atoi(argv[1]);
	void (*work)(long) = strcmp(argv[2], "publish") == 0 ? publish_all : receive_all;
	qos = atoi(argv[3]);
	payload_length = atoi(argv[4]);
	window = atoi(argv[5]);
	topics = atoi(argv[6]);
	int version = atoi(argv[7]) == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311;
	long warm_up = atol(argv[8]), count = atol(argv[9]);
	payload = malloc((size_t)payload_length + 1);
	memset(payload, 'a', (size_t)payload_length);

	mosquitto_lib_init();
	client = mosquitto_new(NULL, true, NULL);
	mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, version);
	mosquitto_max_inflight_messages_set(client, window < 20 ? 20 : (unsigned)window);
	mosquitto_publish_callback_set(client, on_publish);
	mosquitto_subscribe_callback_set(client, on_subscribe);
	mosquitto_message_callback_set(client, on_message);
	int code = mosquitto_connect(client, "127.0.0.1", port, 60);
	if (code != MOSQ_ERR_SUCCESS)
		fail("connect", code);
	if (work == receive_all) {
		loop();
		code = mosquitto_subscribe(client, NULL, "site/#", qos);
		if (code != MOSQ_ERR_SUCCESS)
			fail("subscribe", code);
		while (!subscribed)
			loop();
	} else {
		loop();
	}
	work(warm_up);
	struct usage before = usage();
	work(count);
	struct usage after = usage();
	double n = (double)count;
	printf("{\"cpu\":%f,\"rate\":%f,\"peak\":%f", (after.cpu - before.cpu) * 1e6 / n, n / (after.wall - before.wall),
	       after.peak);
	if (before.reads >= 0)
		printf(",\"writes\":%f,\"reads\":%f", (after.writes - before.writes) * 1000 / n,
		       (after.reads - before.reads) * 1000 / n);
	printf("}\n");
	mosquitto_disconnect(client);
	mosquitto_destroy(client);
	mosquitto_lib_cleanup();
	return 0;
}
