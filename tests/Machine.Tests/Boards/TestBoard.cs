// A board that is as unlike "micro" as a board can be and still carry a guest: less memory below its hole, other windows in another order,
// a line for each place, no timer, no clock, no keyboard, no ACPI. What works on it depends on no board.
using Lamina.Boards;
using Lamina.Boot;
using Lamina.Devices.Ata;
using Lamina.Devices.Chipset;
using Lamina.Devices.Floppy;
using Lamina.Devices.Pci;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Mmio;

namespace Lamina.Tests.Machines.Boards;

internal sealed class TestBoard : IBoard
{
    internal const int Places = 12;

    private const ulong FirstWindow = 0x9000_0000, Stride = 0x20_0000;
    private const ushort SerialPort = 0x3F8;
    private const int SerialIrq = 3, FirstGsi = 5;

    public string Name => "test";

    public BootLayout Layout { get; } = new() { MinimumMemory = 8 << 20, PhysicalAddressBits = 40, HoleStart = 0x8000_0000, SerialPort = SerialPort, Ebda = 0x9_0000, AcpiTables = 0xE_8000 };

    public int MaximumCpus => 4;

    public int VirtioPlaces => Places;

    /// <summary>How often the power button was pressed; nobody listens to it.</summary>
    internal int Pressed { get; private set; }

    /// <summary>Where a place's window lies: the first place has the highest.</summary>
    internal static ulong WindowOf(int place) => FirstWindow + (ulong)(Places - 1 - place) * Stride;

    /// <summary>The I/O APIC's pin of a place.</summary>
    internal static int GsiOf(int place) => FirstGsi + place;

    public FirmwareTables Describe(MemoryMap map, int cpus, int virtioDevices) => new([], 0, []);

    public string BootPathOf(DriveBus? bus, int place) => $"/virtio-mmio@{WindowOf(place):x16}/disk@0,0";

    public IWiredBoard Wire(BoardContext context) => new Wired(this, context);

    private sealed class Wired : IWiredBoard
    {
        private readonly TestBoard _board;
        private readonly BoardContext _context;
        private readonly Serial16550A _serial;
        private int _places;

        internal Wired(TestBoard board, BoardContext context)
        {
            (_board, _context) = (board, context);
            _serial = context.Units.Add("board/serial", new Serial16550A(context.Clock, context.Controllers.Router.CreateIsaLine(SerialIrq), context.Serial));
            _serial.MapPorts(context.Ports, SerialPort);
        }

        public long SerialBytesLost => _serial.Lost;

        public void Add(string name, DriveBus bus, AtaDrive drive) => throw new InvalidOperationException($"there is no controller for {name}");

        public void Add(string name, Func<PciWires, PciFunction> create) => throw new InvalidOperationException($"there is no PCI for {name}");

        public void Add(string name, FloppyDrive drive) => throw new InvalidOperationException($"there is no controller for {name}");

        public void Add(string name, IVirtioDevice device)
        {
            var place = _places++;
            var transport = _context.Units.Add(name, new VirtioMmio(device, _context.Virtio with { Log = _context.Log.Of(name) }, _context.Controllers.Router.CreateLine(GsiOf(place))));
            _context.Mmio.Map(WindowOf(place), VirtioMmio.WindowLength, transport);
        }

        public bool PressPowerButton()
        {
            _board.Pressed++;
            return false;
        }
    }
}
