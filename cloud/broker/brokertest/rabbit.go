package brokertest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ekassa/cloud/authority"
)

// rabbitNodes make a cluster that bears the loss of one.
const rabbitNodes = 3

// Rabbit is a cluster of three RabbitMQ nodes on loopback with the MQTT plug-in,
// all of Debian's package. Whoever shows a certificate of an authority is the
// user of that name, if it is among those who were named at the start; RabbitMQ
// has no rule by which a certificate alone would do.
type Rabbit struct {
	own    *authority.Authority
	server string
	dir    string
	epmd   *exec.Cmd
	env    []string
	nodes  [rabbitNodes]*exec.Cmd
	logs   [rabbitNodes]*os.File
	ports  [rabbitNodes]struct{ amqp, dist, mqtt int }
	claims []net.Listener // of the ports, towards other clusters, also while a node is down
}

// probe is a user with whom a node is asked whether it takes anybody.
const probe = "_probe"

// StartRabbit starts a cluster in which the given names are users: agents under
// their own topics, and the cloud's own (with _) under all.
func StartRabbit(own *authority.Authority, names ...string) (_ *Rabbit, err error) {
	server, err := filepath.Glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
	if err != nil || len(server) == 0 {
		return nil, errors.New("start RabbitMQ: found none in /usr/lib/rabbitmq; apt-get install rabbitmq-server")
	}
	r := &Rabbit{own: own, server: server[0]}
	if r.dir, err = os.MkdirTemp("", "rabbit"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if err := r.configure(append(names, probe)); err != nil {
		return nil, err
	}
	// The others find the first, and never each their own cluster.
	if err := r.Restart(0); err != nil {
		return nil, err
	}
	if err := errors.Join(r.start(1), r.start(2)); err != nil {
		return nil, err
	}
	return r, errors.Join(r.wait(1), r.wait(2))
}

// name of a node; the nodes find one another by this program's own epmd.
func (r *Rabbit) name(n int) string { return fmt.Sprintf("node%d@localhost", n+1) }

func (r *Rabbit) configure(names []string) error {
	made, err := r.own.Server("127.0.0.1")
	if err != nil {
		return err
	}
	definitions, err := definitions(names)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"ca.pem": r.own.PEM(), "broker.pem": made.Certificate, "broker.key": made.Key, ".erlang.cookie": []byte("ekassa" + strconv.Itoa(os.Getpid())),
		"enabled_plugins": []byte("[rabbitmq_mqtt,rabbitmq_auth_mechanism_ssl]."), "none": nil, "definitions.json": definitions,
	} {
		if err := os.WriteFile(filepath.Join(r.dir, name), data, 0o400); err != nil {
			return err
		}
	}
	at, err := r.freePorts(1 + 3*rabbitNodes)
	if err != nil {
		return err
	}
	for n := range r.ports {
		r.ports[n].amqp, r.ports[n].dist, r.ports[n].mqtt = at[3*n+1], at[3*n+2], at[3*n+3]
	}
	r.env = append(os.Environ(), "HOME="+r.dir, "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT="+strconv.Itoa(at[0]))
	r.epmd = exec.Command("epmd", "-address", "127.0.0.1", "-port", strconv.Itoa(at[0]), "-relaxed_command_check")
	if err := r.epmd.Start(); err != nil {
		return fmt.Errorf("start epmd: %w; apt-get install rabbitmq-server", err)
	}
	return nil
}

// definitions are users and what they may do, by RabbitMQ's own file. An agent
// reads and writes as in mosquitto/acl.
func definitions(names []string) ([]byte, error) {
	type object = map[string]any
	var users, rights, topics []object
	for _, name := range names {
		write, read := `^ekassa\.v1\.{username}\.(presence|reported|report|result)$`, `^ekassa\.v1\.{username}\.(desired|ack|command)$`
		if strings.HasPrefix(name, "_") {
			write, read = `^ekassa\.v1\..*$`, `^ekassa\.v1\..*$`
		}
		const own, all = `^mqtt-subscription-.*$`, `^(mqtt-subscription-.*|amq\.topic)$`
		users = append(users, object{"name": name, "password_hash": "", "tags": ""})
		rights = append(rights, object{"user": name, "vhost": "/", "configure": own, "write": all, "read": all})
		topics = append(topics, object{"user": name, "vhost": "/", "exchange": "amq.topic", "write": write, "read": read})
	}
	return json.Marshal(object{
		"rabbit_version": "3.10.8", "users": users, "vhosts": []object{{"name": "/"}}, "permissions": rights, "topic_permissions": topics,
	})
}

func (r *Rabbit) start(n int) error {
	home := filepath.Join(r.dir, fmt.Sprintf("node%d", n+1))
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	var conf bytes.Buffer
	fmt.Fprintf(&conf, "listeners.tcp.1 = 127.0.0.1:%d\nmqtt.listeners.ssl.1 = 127.0.0.1:%d\n", r.ports[n].amqp, r.ports[n].mqtt)
	if n == 0 { // for all
		fmt.Fprintf(&conf, "load_definitions = %s/definitions.json\n", r.dir)
	}
	fmt.Fprint(&conf, "mqtt.listeners.tcp = none\nmqtt.allow_anonymous = false\nmqtt.ssl_cert_login = true\nssl_cert_login_from = common_name\n")
	fmt.Fprintf(&conf, "ssl_options.cacertfile = %[1]s/ca.pem\nssl_options.certfile = %[1]s/broker.pem\nssl_options.keyfile = %[1]s/broker.key\n", r.dir)
	fmt.Fprint(&conf, "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n")
	fmt.Fprint(&conf, "cluster_formation.peer_discovery_backend = classic_config\n")
	if n > 0 { // it would begin a cluster of its own if it did not find the first in this time; the first should
		fmt.Fprint(&conf, "cluster_formation.discovery_retry_limit = 600\n")
	}
	for i := range r.nodes {
		fmt.Fprintf(&conf, "cluster_formation.classic_config.nodes.%d = %s\n", i+1, r.name(i))
	}
	if err := os.WriteFile(filepath.Join(home, "rabbitmq.conf"), conf.Bytes(), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(home, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(r.server)
	cmd.Dir, cmd.Stdout, cmd.Stderr = home, log, log
	cmd.Env = append(slices.Clone(r.env),
		"RABBITMQ_NODENAME="+r.name(n), fmt.Sprintf("RABBITMQ_DIST_PORT=%d", r.ports[n].dist), "RABBITMQ_CONF_ENV_FILE="+filepath.Join(r.dir, "none"),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(home, "rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(r.dir, "enabled_plugins"),
		"RABBITMQ_MNESIA_BASE="+home, "RABBITMQ_LOG_BASE="+home, "RABBITMQ_LOGS=-", "RABBITMQ_PID_FILE="+filepath.Join(home, "pid"), "RABBITMQ_ALLOW_INPUT=1",
		// Two busy cores serve three nodes: none of them spins while it waits.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput -kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none")
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start RabbitMQ: %w", err), log.Close())
	}
	r.nodes[n], r.logs[n] = cmd, log
	return nil
}

// wait returns when a node takes clients.
func (r *Rabbit) wait(n int) error {
	made, err := r.own.Client(probe)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(made.Certificate, made.Key)
	if err != nil {
		return err
	}
	o := mqtt.NewClientOptions().AddBroker("mqtts://" + r.Address(n)).SetClientID(probe).SetProtocolVersion(4).SetAutoReconnect(false).
		SetConnectTimeout(10 * time.Second).
		SetTLSConfig(&tls.Config{RootCAs: r.own.Pool(), ServerName: "127.0.0.1", Certificates: []tls.Certificate{pair}})
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		c := mqtt.NewClient(o)
		t := c.Connect()
		ok := t.WaitTimeout(20*time.Second) && t.Error() == nil
		c.Disconnect(0)
		if ok {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("RabbitMQ's node %d takes nobody: %v: %s", n+1, t.Error(), r.said(n))
		}
	}
}

func (r *Rabbit) said(n int) string {
	text, err := os.ReadFile(r.logs[n].Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// Address is where a node, from 0, takes agents.
func (r *Rabbit) Address(n int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.ports[n].mqtt))
}

// Restart starts a node after Kill. It takes clients once it is one of the cluster
// again.
func (r *Rabbit) Restart(n int) error { return errors.Join(r.start(n), r.wait(n)) }

// Kill ends a node at once.
func (r *Rabbit) Kill(n int) {
	if r.nodes[n] == nil {
		return
	}
	_ = r.nodes[n].Process.Kill()
	_ = r.nodes[n].Wait() // killed
	_ = r.logs[n].Close()
	r.nodes[n] = nil
}

// Close ends all of it, and removes what it has.
func (r *Rabbit) Close() error {
	for n := range r.nodes {
		r.Kill(n)
	}
	if r.epmd != nil && r.epmd.Process != nil {
		_ = r.epmd.Process.Kill()
		_ = r.epmd.Wait() // killed
	}
	for _, c := range r.claims {
		_ = c.Close() // a claim is of no use any more
	}
	return os.RemoveAll(r.dir)
}

// freePorts are some of loopback that nobody has, nor is given while the cluster lives,
// also while a node is down: they lie below those that systems give away by themselves,
// and other clusters see by a socket of that name that they are taken.
func (r *Rabbit) freePorts(n int) (ports []int, err error) {
	for tries := 0; len(ports) < n; tries++ {
		if tries > 1000 {
			return nil, fmt.Errorf("find %d free ports on loopback: %w", n, err)
		}
		port := 15_000 + rand.IntN(17_000)
		claim, taken := net.Listen("unix", fmt.Sprintf("@ekassa-rabbit-%d", port))
		if taken != nil {
			err = taken
			continue
		}
		r.claims = append(r.claims, claim)
		l, taken := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if taken != nil {
			err = taken
			continue
		}
		defer l.Close()
		ports = append(ports, port)
	}
	return ports, nil
}
