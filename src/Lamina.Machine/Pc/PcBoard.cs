// The board of pc: the chipset 440FX with PIIX3 and PIIX4 power management, and PCI devices on its bus. docs/pc.md.
using Lamina.Boards;
using Lamina.Boot;
using Lamina.Core.Display;
using Lamina.Core.Interrupts;
using Lamina.Devices.Ata;
using Lamina.Devices.Ata.Ahci;
using Lamina.Devices.Ata.Ide;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.I440fx;
using Lamina.Devices.Chipset.Ps2;
using Lamina.Devices.Display;
using Lamina.Devices.Floppy;
using Lamina.Devices.Pci;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Pci;

namespace Lamina.Pc;

/// <summary>The board of pc.</summary>
internal sealed class PcBoard : IBoard
{
    /// <inheritdoc/>
    public string Name => "pc";

    /// <inheritdoc/>
    public BootLayout Layout => PcLayout.Boot;

    /// <inheritdoc/>
    public int MaximumCpus => PcLayout.MaximumCpus;

    /// <inheritdoc/>
    public int VirtioPlaces => PcLayout.Places;

    /// <inheritdoc/>
    public FirmwareTables Describe(MemoryMap map, int cpus, int virtioDevices) => PcTables.Create(map, cpus);

    /// <inheritdoc/>
    public string BootPathOf(DriveBus? bus, int place) => bus switch
    {
        DriveBus.Ide => $"/pci@i0cf8/ide@{I440fxSpec.IsaDevice:x},{I440fxSpec.IdeFunction:x}/drive@{place / 2}/disk@{place % 2}",
        null => $"/pci@i0cf8/isa@{I440fxSpec.IsaDevice:x}/fdc@03f0/floppy@{place}",
        DriveBus.Sata => $"/pci@i0cf8/sata@{PcLayout.AhciDevice:x}/drive@{place}/disk@0",
        _ => $"/pci@i0cf8/scsi@{PcLayout.FirstPlace + place:x}/disk@0,0",
    };

    /// <inheritdoc/>
    public string NetworkBootPathOf(int place) => $"/pci@i0cf8/ethernet@{PcLayout.FirstPlace + place:x}";

    /// <inheritdoc/>
    // virtio 1.2, 5.1.1 and 4.1.2.1: a transitional network card has the number 1000h.
    public string NetworkRomOf(NetworkModel model) => model switch { NetworkModel.E1000 => "pci8086,100e.rom", NetworkModel.E1000e => "pci8086,10d3.rom", _ => "pci1af4,1000.rom" };

    /// <inheritdoc/>
    public string DisplayRom => $"pci{VgaSpec.Identity.Vendor:x4},{VgaSpec.Identity.Device:x4}.rom";

    /// <inheritdoc/>
    public IWiredBoard Wire(BoardContext context) => new Wired(context);

    private sealed class Wired : IWiredBoard
    {
        private readonly BoardContext _context;
        private readonly PciBus _bus;
        private readonly PirqRouter _pirqs;
        private readonly PcFirmware _firmware;
        private readonly AcpiPm _power;
        private readonly Serial16550A _serial;
        private readonly VmGenerationId _generation;
        private readonly VgaAdapter _display;
        private int _places, _ideDrives, _sataDrives;
        private readonly CmosRtc _rtc;
        private readonly List<byte> _floppies = [];
        private FloppyController? _floppy;
        private PiixIde? _ide;
        private AhciController? _ahci;

        internal Wired(BoardContext context)
        {
            _context = context;
            var (units, clock, ports, events, router) = (context.Units, context.Clock, context.Ports, context.Events, context.Controllers.Router);
            units.Add("chipset/pit", new Pit8254(clock, router.CreateIsaLine(PcLayout.TimerIrq))).MapPorts(ports);
            var rtc = _rtc = units.Add("chipset/rtc", new CmosRtc(clock, router.CreateIsaLine(PcLayout.RtcIrq)));
            rtc.SetMemorySize(context.Map.LowEnd, context.Map.HighLength);
            if (context.HasFirmware) rtc.SetProcessors(context.Cpus);
            rtc.MapPorts(ports);
            var keyboard = units.Add("chipset/keyboard", new I8042(new Ps2Wires(clock, router.CreateIsaLine(PcLayout.KeyboardIrq), router.CreateIsaLine(PcLayout.MouseIrq)), events.Reset));
            keyboard.MapPorts(ports);
            Input = new BoardInput(keyboard, keyboard, units.Add("chipset/typist", new Typist(clock, keyboard)));
            _power = units.Add("chipset/power", new AcpiPm(clock, router.CreateLine(AcpiPmSpec.SciGsi), events.PowerOff, events.Reset, alwaysAcpi: false, PcLayout.SoftOffType));
            _generation = units.Add("chipset/generation", new VmGenerationId(context.Memory, PcLayout.Generation, context.Entropy, () => _power.RaiseEvent(PcLayout.GenerationEvent)));
            units.Add("chipset/apm", new ApmPorts(_power)).MapPorts(ports);
            var smBus = units.Add("chipset/smbus", new SmBusHost());
            _serial = units.Add("chipset/serial", new Serial16550A(clock, router.CreateIsaLine(PcLayout.Com1Irq), context.Serial));
            _serial.MapPorts(ports, PcLayout.Com1);
            units.Add("chipset/port 92h", new SystemControlPortA(events.Reset)).MapPorts(ports);
            var resetControl = units.Add("chipset/reset control", new ResetControl(events.Reset));
            units.AddAside("chipset/post code", new PostCodePort()).MapPorts(ports);
            units.AddAside("chipset/panic", new PvPanic(told =>
            {
                if (told.HasFlag(PvPanicEvents.Panicked)) events.Panic("the guest's kernel panicked");
            })).MapPorts(ports);
            _bus = units.AddAside("buses/pci", new PciBus());
            _firmware = new PcFirmware(_bus, PcLayout.WideMemory(context.Map));
            units.Add("chipset/pci configuration", new PciConfigurationPorts(resetControl, _bus)).MapPorts(ports);
            _pirqs = new PirqRouter(router);
            Add("chipset/host bridge", I440fxSpec.HostDevice, 0, wires => new HostBridge(wires));
            Add("chipset/isa bridge", I440fxSpec.IsaDevice, 0, wires => new IsaBridge(wires, _pirqs));
            Add("chipset/power management", I440fxSpec.IsaDevice, I440fxSpec.PowerFunction, wires => new PowerManagement(wires, _power, smBus, context.HasFirmware ? PcLayout.PowerPorts : (ushort)0));
            _display = Add("chipset/display", PcLayout.DisplayDevice, 0, wires => new VgaAdapter(wires, clock, context.Memory));
            context.AddDebugExit();
        }

        public IScreen Screen => _display;

        public long SerialBytesLost => _serial.Lost;

        public BoardInput? Input { get; }

        public bool PressPowerButton() => _power.PressPowerButton();

        public void BecomeAnother() => _generation.Renew();

        public void StandInForFirmware() => _firmware.Run(_context.Controllers);

        public void Add(string name, Func<PciWires, PciFunction> create)
        {
            var place = PcLayout.FirstPlace + _places++;
            Add(name, place, 0, create, _pirqs.CreateLine(PirqRouter.InputOf(place)));
        }

        // A machine without drives has no controller for them: there is nothing to look for, and so nothing to wait for.
        public void Add(string name, DriveBus bus, AtaDrive drive)
        {
            _context.Units.Add(name, drive);
            if (bus == DriveBus.Ide) Ide.Put(_ideDrives++, drive);
            else Ahci.Put(_sataDrives++, drive);
        }

        public void Add(string name, FloppyDrive drive)
        {
            var (units, ports) = (_context.Units, _context.Ports);
            units.Add(name, drive);
            if (_floppy is null)
            {
                var dma = units.Add("chipset/dma", new Dma8237());
                dma.MapPorts(ports);
                _floppy = units.Add("chipset/floppy", new FloppyController(_context.Controllers.Router.CreateIsaLine(PcLayout.FloppyIrq), dma, _context.Virtio.Memory, _context.Virtio.Workers));
                _floppy.MapPorts(ports);
            }
            _floppy.Put(_floppies.Count, drive);
            _floppies.Add(drive.Shape.DriveType);
            _rtc.SetFloppies(_floppies);
        }

        private PiixIde Ide
        {
            get
            {
                if (_ide is not null) return _ide;
                var lines = PcLayout.IdeIrqs.Select(_context.Controllers.Router.CreateIsaLine).ToArray();
                Add("chipset/ide", I440fxSpec.IsaDevice, I440fxSpec.IdeFunction, wires => _ide = new PiixIde(wires, lines, _context.Virtio.Memory, _context.Virtio.Workers));
                return _ide!;
            }
        }

        private AhciController Ahci
        {
            get
            {
                if (_ahci is not null) return _ahci;
                var pin = _pirqs.CreateLine(PirqRouter.InputOf(PcLayout.AhciDevice));
                Add("chipset/ahci", PcLayout.AhciDevice, 0, wires => _ahci = new AhciController(wires, _context.Virtio.Memory, _context.Virtio.Workers), pin);
                return _ahci!;
            }
        }

        public void Add(string name, IVirtioDevice device)
        {
            var place = PcLayout.FirstPlace + _places++;
            var options = _context.Virtio with { Log = _context.Log.Of(name) };
            Add(name, place, 0, wires => new VirtioPci(device, options, wires), _pirqs.CreateLine(PirqRouter.InputOf(place)));
        }

        private T Add<T>(string name, int device, int function, Func<PciWires, T> create, IInterruptLine? pin = null) where T : PciFunction =>
            _bus.Add(device, function, _context.Units.Add(name, create(new PciWires(name, _context.Ports, _context.Mmio, pin, _context.Controllers.Messages))));
    }
}
