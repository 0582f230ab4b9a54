package cost

// System is the manifest of a system under test: what a capacity has to be read
// with. Text fields that are empty were not stated. Rack, Power, Price and Owned
// are nil when not stated; a unit that needs one is then absent.
type System struct {
	Name         string       `json:"name"`                           // of this system, as reports print it
	Vendor       string       `json:"vendor"`                         // who builds or rents it out
	Accelerators Accelerators `json:"accelerators"`                   // what computes
	Rack         *Rack        `json:"rack,omitempty"`                 // what a full rack would take
	Power        *Power       `json:"power,omitempty"`                // drawn by, or set aside for, the whole system
	Price        *Price       `json:"price,omitempty"`                // rented; excludes Owned
	Owned        *Owned       `json:"owned,omitempty"`                // bought; excludes Price and needs Power
	Software     Software     `json:"software"`                       // what serves the model
	Parallelism  string       `json:"parallelism,omitempty"`          // e.g. "6 x prefill DEP4 + 1 x decode DEP8"
	Quantization string       `json:"quantization,omitempty"`         // of weights and activations, e.g. "MXFP4"
	KVCacheType  string       `json:"kv_cache_type,omitempty"`        // e.g. "FP8"
	Speculative  string       `json:"speculative_decoding,omitempty"` // e.g. "MTP, 3 tokens"; "off"
	Disaggregate string       `json:"disaggregation,omitempty"`       // of prefill and decode, with the transfer used
	Routing      string       `json:"routing,omitempty"`              // of calls among replicas, e.g. "by conversation"
	CachePolicy  string       `json:"cache_policy,omitempty"`         // size, tiers and eviction of the prefix cache
	Launch       string       `json:"launch_command,omitempty"`       // as started, without keys: reports print it
	Notes        string       `json:"notes,omitempty"`
}

// Accelerators are the chips of the system that run the model, of whatever kind.
// In a mixed or disaggregated system all of them count.
type Accelerators struct {
	Vendor  string   `json:"vendor"`
	Product string   `json:"product"`
	Count   int      `json:"count"`  // in the system, at least 1
	Memory  []Memory `json:"memory"` // of one accelerator, one entry a kind, at least one
}

// Memory is one kind of memory that one accelerator holds weights and caches in.
type Memory struct {
	Kind   string  `json:"kind"`     // HBM3e, SRAM, GDDR7, LPDDR5X, DDR5, …
	GiB    float64 `json:"gib"`      // size, above 0
	GBPerS float64 `json:"gb_per_s"` // peak bandwidth in 10⁹ bytes/s, above 0
}

// Rack is what one rack of such systems could hold.
type Rack struct {
	Accelerators int     `json:"accelerators"` // places, at least 1
	KW           float64 `json:"kw,omitempty"` // limit, in the system's power class; 0: not stated
}

// Power is the power of the whole system.
type Power struct {
	KW     float64    `json:"kw"` // above 0
	Class  PowerClass `json:"class"`
	Source string     `json:"source"` // where the figure comes from: a meter, a data sheet, a contract
}

// PowerClass says what a power figure includes. Figures of two classes are never
// compared or mixed: the same machine draws about twice its board power at the wall.
type PowerClass string

// The power classes, from what was set aside to what was measured furthest out.
const (
	Provisioned PowerClass = "provisioned" // reserved for the system, whatever it draws
	Board       PowerClass = "board"       // accelerator boards alone
	Node        PowerClass = "node"        // servers, by their own management controllers
	PDU         PowerClass = "pdu"         // at the rack's power distribution
	Wall        PowerClass = "wall"        // by an accepted analyser at the supply
)

// Price is what renting the whole system costs.
type Price struct {
	USDPerHour float64 `json:"usd_per_hour"` // above 0
	Source     string  `json:"source"`       // price list, quote, contract
	Date       string  `json:"date"`         // of the price, YYYY-MM-DD
}

// Owned is what the whole system costs its owner.
type Owned struct {
	CapexUSD  float64 `json:"capex_usd"`                     // purchase, above 0
	Years     float64 `json:"years"`                         // until written off, above 0
	USDPerKWh float64 `json:"usd_per_kwh"`                   // electricity, at least 0
	PUE       float64 `json:"pue"`                           // facility power ÷ system power, at least 1
	UpkeepUSD float64 `json:"upkeep_usd_per_year,omitempty"` // staff, space, support; at least 0
	Source    string  `json:"source"`
	Date      string  `json:"date"` // YYYY-MM-DD
}

// Software is what serves the model.
type Software struct {
	Engine    string `json:"engine"`
	Version   string `json:"version"`
	Container string `json:"container,omitempty"` // image, best with its digest
	Driver    string `json:"driver,omitempty"`    // of the accelerators
	Firmware  string `json:"firmware,omitempty"`
	OS        string `json:"os,omitempty"`
}

// hoursPerYear is that of a common year, 365 × 24.
const hoursPerYear = 8760

// USDPerHour is the price of the whole system for one hour, and false when the
// manifest states none. An owned system, switched on all year, costs
//
//	capex ÷ (years × 8760) + upkeep ÷ 8760 + kW × PUE × $/kWh
//
// in dollars an hour: straight-line depreciation without interest, upkeep, and
// electricity at the stated power.
func (s *System) USDPerHour() (float64, bool) {
	switch {
	case s.Price != nil:
		return s.Price.USDPerHour, true
	case s.Owned != nil && s.Power != nil:
		o := s.Owned
		return o.CapexUSD/(o.Years*hoursPerYear) + o.UpkeepUSD/hoursPerYear + s.Power.KW*o.PUE*o.USDPerKWh, true
	}
	return 0, false
}
