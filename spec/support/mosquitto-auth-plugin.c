/*
 * A plugin of Mosquitto 2.0 for enhanced authentication, with the method TEST: the client sends "hello", and answers "one"
 * and "two" with "answer one" and "answer two"; the server accepts with "proof". Anything else is refused.
 */
#include <stdint.h>
#include <string.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

static mosquitto_plugin_id_t *plugin;

static int is(const struct mosquitto_evt_extended_auth *event, const char *text)
{
	return event->data_in_len == strlen(text) && memcmp(event->data_in, text, event->data_in_len) == 0;
}

/* Sends `text`, and returns `result`. The broker frees the memory. */
static int reply(struct mosquitto_evt_extended_auth *event, const char *text, int result)
{
	size_t length = strlen(text);
	event->data_out = mosquitto_malloc(length);
	if (event->data_out == NULL) return MOSQ_ERR_NOMEM;
	memcpy(event->data_out, text, length);
	event->data_out_len = (uint16_t)length;
	return result;
}

/* CONNECT, or AUTH 0x19. */
static int on_start(int type, void *data, void *userdata)
{
	struct mosquitto_evt_extended_auth *event = data;
	(void)type;
	(void)userdata;
	if (strcmp(event->auth_method, "TEST") != 0) return MOSQ_ERR_NOT_SUPPORTED;
	return is(event, "hello") ? reply(event, "one", MOSQ_ERR_AUTH_CONTINUE) : MOSQ_ERR_AUTH;
}

/* AUTH 0x18. */
static int on_continue(int type, void *data, void *userdata)
{
	struct mosquitto_evt_extended_auth *event = data;
	(void)type;
	(void)userdata;
	if (is(event, "answer one")) return reply(event, "two", MOSQ_ERR_AUTH_CONTINUE);
	return is(event, "answer two") ? reply(event, "proof", MOSQ_ERR_SUCCESS) : MOSQ_ERR_AUTH;
}

int mosquitto_plugin_version(int count, const int *versions)
{
	for (int i = 0; i < count; i++)
		if (versions[i] == 5) return 5;
	return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata, struct mosquitto_opt *options, int count)
{
	(void)userdata;
	(void)options;
	(void)count;
	plugin = identifier;
	int result = mosquitto_callback_register(plugin, MOSQ_EVT_EXT_AUTH_START, on_start, NULL, NULL);
	if (result != MOSQ_ERR_SUCCESS) return result;
	return mosquitto_callback_register(plugin, MOSQ_EVT_EXT_AUTH_CONTINUE, on_continue, NULL, NULL);
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int count)
{
	(void)userdata;
	(void)options;
	(void)count;
	mosquitto_callback_unregister(plugin, MOSQ_EVT_EXT_AUTH_START, on_start, NULL);
	return mosquitto_callback_unregister(plugin, MOSQ_EVT_EXT_AUTH_CONTINUE, on_continue, NULL);
}
