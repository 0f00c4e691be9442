package agent

// What the doctor finds. Package texts has the words, as doctor.CODE, and for an
// ailment its cure, as doctor.CODE.do; doctor. and the code's part before the point
// names what was looked at.
type (
	health  string // all is well
	ailment string // something is to be done
)

const (
	configurationRead health  = "configuration.read"
	configurationHint ailment = "configuration." // and a config.Hint

	settingsCloud      health  = "settings.cloud"
	settingsPage       health  = "settings.page"
	settingsUnreadable ailment = "settings.unreadable"

	folderWritable   health  = "folder.writable"
	folderUnwritable ailment = "folder.unwritable"
	folderOpen       ailment = "folder.open"

	journalIdle       health  = "journal.idle"
	journalRunning    health  = "journal.running"
	journalUnreadable ailment = "journal.unreadable"
	journalShort      ailment = "journal.short"
	journalRoom       ailment = "journal.room"

	agentReady   health  = "agent.ready"
	agentAway    ailment = "agent.away"
	addressFree  health  = "address.free"
	addressTaken ailment = "address.taken"
	doorFree     health  = "door.free"
	doorTaken    ailment = "door.taken"
	doorUnbound  ailment = "door.unbound"

	clockSays    health  = "clock.says"
	clockWrong   ailment = "clock.wrong"
	clockNetwork health  = "clock.network"
	clockAlone   ailment = "clock.alone"

	powerEnough     health  = "power.enough"
	powerWeak       ailment = "power.weak"
	temperatureFine health  = "temperature.fine"
	temperatureHot  ailment = "temperature.hot"
	diskFree        health  = "disk.free"
	diskFull        ailment = "disk.full"
	cardFine        health  = "card.fine"
	cardEnds        ailment = "card.ends"
	filesFine       health  = "files.fine"
	filesBroken     ailment = "files.broken"
	writtenFine     health  = "written.fine"
	writtenMuch     ailment = "written.much"
	swapNone        health  = "swap.none"
	swapUsed        ailment = "swap.used"
	wifiFine        health  = "wifi.fine"
	wifiWeak        ailment = "wifi.weak"

	tillToken       health  = "till.token"
	tillNoToken     ailment = "till.no_token"
	tillUnreadable  ailment = "till.unreadable"
	tillUnbound     ailment = "till.unbound"
	moduleOff       ailment = "module.off"
	staffManager    health  = "staff.manager"
	staffNobody     ailment = "staff.nobody"
	staffUnreadable ailment = "staff.unreadable"

	cloudHolds      health  = "cloud.holds"
	cloudUnreadable ailment = "cloud.unreadable"
	cloudEnded      ailment = "cloud.ended"
	cloudShort      ailment = "cloud.short"

	programRuns       health  = "program.runs"
	programUnreadable ailment = "program.unreadable"
	programReverted   ailment = "program.reverted"
	programFailed     ailment = "program.failed"

	nameAnnounced health  = "name.announced"
	nameNowhere   ailment = "name.nowhere"
	port80Taken   ailment = "port80.taken"

	printerReady health  = "printer.ready"
	printerAway  ailment = "printer.away"
	guestsPage   health  = "guests.page"
	guestsNone   ailment = "guests.none"

	networkUp        health  = "network.up"
	networkNone      ailment = "network.none"
	networkTrouble   ailment = "network.trouble"
	interfaceUp      health  = "interface.up"
	interfaceDown    ailment = "interface.down"
	interfaceMissing ailment = "interface.missing"

	registersNone       ailment = "registers.none"
	registersTrouble    ailment = "registers.trouble"
	registerOpen        health  = "register.open"
	registerClosed      health  = "register.closed"
	registerFails       ailment = "register.fails"
	registerToken       ailment = "register.token"
	registerShift       ailment = "register.shift"
	registerCertificate ailment = "register.certificate"
)
