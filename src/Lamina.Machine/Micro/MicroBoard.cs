// The micro machine's board: the few devices of a PC that a kernel wants, and virtio over MMIO. No PCI.
using Lamina.Boards;
using Lamina.Boot;
using Lamina.Devices.Ata;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.Ps2;
using Lamina.Devices.Floppy;
using Lamina.Devices.Pci;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Mmio;

namespace Lamina.Micro;

/// <summary>The board of the micro machine.</summary>
internal sealed class MicroBoard : IBoard
{
    /// <inheritdoc/>
    public string Name => "micro";

    /// <inheritdoc/>
    public BootLayout Layout => MicroLayout.Boot;

    /// <inheritdoc/>
    public int MaximumCpus => MicroLayout.MaximumCpus;

    /// <inheritdoc/>
    public int VirtioPlaces => MicroLayout.VirtioSlots;

    /// <inheritdoc/>
    public FirmwareTables Describe(MemoryMap map, int cpus, int virtioDevices) => MicroTables.Create(cpus, virtioDevices);

    /// <inheritdoc/>
    public string BootPathOf(DriveBus? bus, int place) => $"/virtio-mmio@{MicroLayout.VirtioWindowOf(place):x16}/disk@0,0";

    /// <inheritdoc/>
    public IWiredBoard Wire(BoardContext context) => new Wired(context);

    private sealed class Wired : IWiredBoard
    {
        private readonly BoardContext _context;
        private readonly AcpiPm _power;
        private readonly Serial16550A _serial;
        private readonly VmGenerationId _generation;
        private int _slots;

        internal Wired(BoardContext context)
        {
            _context = context;
            var (units, clock, ports, events, router) = (context.Units, context.Clock, context.Ports, context.Events, context.Controllers.Router);
            units.Add("chipset/pit", new Pit8254(clock, router.CreateIsaLine(MicroLayout.TimerIrq))).MapPorts(ports);
            var rtc = units.Add("chipset/rtc", new CmosRtc(clock, router.CreateIsaLine(MicroLayout.RtcIrq)));
            rtc.SetMemorySize(context.Map.LowEnd, context.Map.HighLength);
            if (context.HasFirmware)
            {
                rtc.SetProcessors(context.Cpus);
                units.Add("chipset/apm", new ApmPorts()).MapPorts(ports);
            }
            rtc.MapPorts(ports);
            units.Add("chipset/keyboard", new I8042(router.CreateIsaLine(MicroLayout.KeyboardIrq), events.Reset)).MapPorts(ports);
            _power = units.Add("chipset/power", new AcpiPm(clock, router.CreateLine(AcpiPmSpec.SciGsi), events.PowerOff, events.Reset));
            _power.MapPorts(ports);
            _generation = units.Add("chipset/generation", new VmGenerationId(context.Memory, MicroLayout.Generation, context.Entropy, () => _power.RaiseEvent(MicroLayout.GenerationEvent)));
            _serial = units.Add("chipset/serial", new Serial16550A(clock, router.CreateIsaLine(MicroLayout.Com1Irq), context.Serial));
            _serial.MapPorts(ports, MicroLayout.Com1);
            units.Add("chipset/port 92h", new SystemControlPortA(events.Reset)).MapPorts(ports);
            var resetControl = units.Add("chipset/reset control", new ResetControl(events.Reset));
            units.Add("chipset/pci configuration", new PciConfigurationPorts(resetControl, new LoneHostBridge())).MapPorts(ports);
            units.AddAside("chipset/post code", new PostCodePort()).MapPorts(ports);
            units.AddAside("chipset/panic", new PvPanic(told =>
            {
                if (told.HasFlag(PvPanicEvents.Panicked)) events.Panic("the guest's kernel panicked");
            })).MapPorts(ports);
            context.AddDebugExit();
        }

        public long SerialBytesLost => _serial.Lost;

        public bool PressPowerButton() => _power.PressPowerButton();

        public void BecomeAnother() => _generation.Renew();

        public void Add(string name, Func<PciWires, PciFunction> create) => throw new InvalidOperationException($"the machine micro has no PCI for {name}");

        public void Add(string name, DriveBus bus, AtaDrive drive) => throw new InvalidOperationException($"the machine micro has no controller for {name}");

        public void Add(string name, FloppyDrive drive) => throw new InvalidOperationException($"the machine micro has no controller for {name}");

        public void Add(string name, IVirtioDevice device)
        {
            var slot = _slots++;
            var window = MicroLayout.VirtioWindowOf(slot);
            var doorbells = _context.Engine.Doorbells;
            ConnectDoorbell? connect = doorbells is null ? null : (queue, worker) => doorbells.TryConnect(window + VirtioMmio.Doorbell, (uint)queue, worker);
            var transport = _context.Units.Add(name, new VirtioMmio(device, _context.Virtio with { Log = _context.Log.Of(name) }, _context.Controllers.Router.CreateLine(MicroLayout.VirtioGsiOf(slot)), connect));
            _context.Mmio.Map(window, VirtioMmio.WindowLength, transport);
        }
    }
}
