package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ekassa/agent/config"
	"ekassa/agent/receipt"
	"ekassa/agent/register/simulator"
	"ekassa/agent/texts"
)

// An installer answers the questions, mistypes two of them, and has an agent that sells:
// a register that is found, and one whose address is typed. It ends with a real receipt.
func TestSetup_LeadsToAnAgentThatSells(t *testing.T) {
	first := announced(t, newHost()+":8008", "SETUP-1", "")
	typed := register(t, simulator.Config{Serial: "SETUP-2"})
	s := bareShop(t)
	before := fmt.Sprintf("# ours\ndata_dir: %q\nlisten: %q # here\nhosts: [kassa.lan]\n\n# nothing yet\nsettings:\n  registers: []\n", s.dir, s.listen)
	put(t, s.file, before)
	answers := []string{
		"9", "3", // no such language; English
		"FOUND", strings.Repeat("0", 32), // the register that was found; not its Merchant ID
		"FOUND", merchant, "Bar", "Kassa Ə", "2",
		typed.Addr(), "1", "", // no Merchant ID at all
		"elsewhere", typed.Addr(), "1", merchant, "", "", "1",
		"2", "1", "Leyla", "", // simplified 8 %, on this machine, without a cloud
		"START", "3",
	}
	run := func(answers []string) result {
		cmd := exec.Command(agentBinary, "setup", "--config", s.file, "--interface", "lo")
		return answered(t, cmd, first.Addr(), answers, func() { s.run() })
	}
	// Somebody who gives up leaves nothing behind.
	if r := run(answers[:8]); r.code == 0 || !strings.Contains(r.err, "nothing was written") {
		t.Fatalf("%+v", r)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(s.file), "*")); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if text, err := os.ReadFile(s.file); err != nil || string(text) != before {
		t.Errorf("%v: %s", err, text)
	}
	r := run(answers).ok(t)
	for _, words := range []string{
		"SETUP-1", "SETUP-2", texts.Say("en", "setup.credentials", nil), texts.Say("en", "setup.again", nil), texts.Say("en", "setup.address", nil), "█",
		"sale: " + texts.State("en", receipt.Fiscal), "refund: " + texts.State("en", receipt.Fiscal),
	} {
		if !strings.Contains(r.out, words) {
			t.Errorf("it does not say %q:\n%s", words, r.out)
		}
	}
	cfg, err := config.Load(s.file)
	if err != nil {
		t.Fatal(err)
	}
	if list := cfg.Settings.Registers; len(list) != 2 || list[0].Serial != "SETUP-1" || list[0].Address.IsValid() || list[1].Address.String() != typed.Addr() || list[0].Name != "Bar" || list[1].Name != "Kassa 2" {
		t.Errorf("%+v", list)
	}
	if cfg.Settings.Tax.Type != "simplified8" || len(cfg.Warnings) > 0 {
		t.Errorf("tax %+v, warnings %q", cfg.Settings.Tax, cfg.Warnings)
	}
	if text, err := os.ReadFile(s.file); err != nil || !strings.HasPrefix(string(text), before[:strings.Index(before, "settings:")]) {
		t.Errorf("what stood there before is another: %v\n%s", err, text)
	}
	tokens := regexp.MustCompile(`The token of (.+) \(shown only now\): (\S+)`).FindAllStringSubmatch(r.out, -1)
	if len(tokens) != 2 || tokens[0][1] != "Kassa Ə" {
		t.Fatalf("tokens: %q", tokens)
	}
	if !regexp.MustCompile(`The PIN of Leyla \(shown only now\): \d{6}\n`).MatchString(r.out) {
		t.Errorf("no PIN:\n%s", r.out)
	}
	if made := first.Ledger(); len(made) != 2 || made[0].Amount != 1 || made[1].Kind != simulator.Refund || len(typed.Ledger()) != 0 {
		t.Errorf("the test receipt made %+v", made)
	}
	// Done again it would put other registers in their place: it does not.
	if r := run(answers); r.code == 0 || !strings.Contains(r.err, "it has registers already") {
		t.Errorf("%+v", r)
	}
	for n, sold := range tokens {
		s.token = sold[2]
		if a := s.till().Post("/v1/receipts", sale("first"), wait).Want(http.StatusCreated); a.Field("document.register_serial") != []string{"SETUP-1", "SETUP-2"}[n] {
			t.Errorf("%s", a.Body)
		}
	}
}

// answered runs a command that asks, and answers. FOUND is the number under which it
// lists the address; where it does not list it, on a busy machine, it is told to look again.
// START starts the agent once it asks for the test receipt, START3 once it does so for
// the third time; neither says anything.
func answered(t *testing.T, cmd *exec.Cmd, address string, answers []string, start func()) result {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := startCmd(t, cmd)
	say := func(words string) {
		if _, err := io.WriteString(in, words+"\n"); err != nil {
			t.Logf("answer %q: %v", words, err)
		}
	}
	listed := regexp.MustCompile(`(?m)^(\d+)  \w+ +` + regexp.QuoteMeta(address) + ` `)
	for _, answer := range answers {
		if times, ok := strings.CutPrefix(answer, "START"); ok {
			number, _ := strconv.Atoi(times) // START alone is the first
			asked := func() bool {
				return slices.ContainsFunc(texts.Languages, func(lang string) bool {
					return strings.Count(p.out.String(), texts.Say(lang, "setup.test", nil)) >= max(1, number)
				})
			}
			eventually(t, "it asks for a test receipt", func() bool { return asked() || p.ended() })
			if !p.ended() {
				start()
			}
			continue
		}
		if answer == "FOUND" {
			asked := texts.Say("en", "setup.which", nil)
			for looks := 0; ; looks++ {
				eventually(t, "it asks which", func() bool { return strings.Count(p.out.String(), asked) > looks || p.ended() })
				if p.ended() {
					break // it had no questions
				}
				lists := strings.Split(p.out.String(), texts.Say("en", "setup.searching", nil))
				if found := listed.FindStringSubmatch(lists[len(lists)-1]); found != nil {
					answer = found[1]
					break
				}
				say("0")
			}
		}
		say(answer)
	}
	if err := in.Close(); err != nil {
		t.Log(err)
	}
	<-p.done
	return result{cmd.ProcessState.ExitCode(), p.out.String(), p.err.String()}
}

// The questions are there in every language, for a register of each maker: a wrong
// secret first, a training, and a real receipt.
func TestSetup_EachMakerInEachLanguage(t *testing.T) {
	t.Parallel()
	for n, lang := range texts.Languages {
		maker := []simulator.Protocol{simulator.AzSmart, simulator.Omnitech, simulator.Caspos}[n]
		c := simulator.Config{Protocol: maker, Listen: newHost() + ":8008", Serial: "SETUP-" + lang}
		if maker != simulator.AzSmart {
			c.User, c.Password = "api", "right"
		}
		if maker == simulator.Caspos { // else it takes any login
			c.Quirks = []string{"login-required", "credentials-checked"}
		}
		sim := register(t, c)
		s := bareShop(t)
		put(t, s.file, fmt.Sprintf("data_dir: %q\nlisten: %q\n", s.dir, s.listen))
		at := []string{sim.Addr(), string(rune('1' + n))}
		wrong, right := []string{strings.Repeat("0", 32)}, []string{merchant}
		if maker != simulator.AzSmart {
			wrong, right = []string{"api", "wrong"}, []string{"api", "right"}
		}
		answers := slices.Concat([]string{string(rune('1' + n))}, at, wrong, at, right, []string{
			"", "", "1", "", "1", "", "", "3", "2", "START3", "3",
		})
		cmd := exec.Command(agentBinary, "setup", "--config", s.file, "--interface", "lo")
		r := answered(t, cmd, "", answers, func() { s.run() }).ok(t)
		mark, kind, fiscal := "["+texts.Say(lang, "setup.test_training_mark", nil)+"] ", texts.Kind(lang, receipt.Sale)+": ", texts.State(lang, receipt.Fiscal)
		for _, words := range []string{
			texts.Say(lang, "setup.hello", nil), texts.Say(lang, "setup.credentials", nil), texts.Say(lang, "setup.test_away", nil),
			mark + kind + texts.Say(lang, "setup.test_training_said", texts.Args{"said": fiscal}),
			"]: " + kind + fiscal, // behind the question, where nobody types Enter
		} {
			if !strings.Contains(r.out, words) {
				t.Errorf("%s: it does not say %q", lang, words)
			}
		}
		if strings.Count(r.out, mark) != 4 || strings.Contains(r.out, "setup.") || t.Failed() {
			t.Errorf("%s:\n%s", lang, r.out)
		}
		if made := sim.Ledger(); len(made) != 2 || made[0].Kind != simulator.Sale || made[1].Kind != simulator.Refund {
			t.Errorf("%s made %+v", maker, made)
		}
		if cfg, err := config.Load(s.file); err != nil || cfg.Settings.Language != lang || cfg.Settings.Registers[0].Driver != string(maker) {
			t.Errorf("%s: %v, %+v", lang, err, cfg)
		}
	}
}
