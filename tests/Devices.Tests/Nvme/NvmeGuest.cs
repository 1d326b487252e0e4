// A driver of an NVMe controller that goes by the specification, and a machine for it.
using System.Buffers.Binary;
using Lamina.Core.Memory;
using Lamina.Core.Work;
using Lamina.Devices.Media;
using Lamina.Devices.Nvme;
using Lamina.Devices.Pci;
using Lamina.Tests.Devices.Pci;
using Lamina.Tests.Devices.Virtio;

namespace Lamina.Tests.Devices.Nvme;

internal sealed class NvmeGuest : IDisposable
{
    internal const int Device = 3, Entries = 8;
    internal const ulong Registers = 0xe000_0000, Messages = 0xe001_0000, AdminSubmission = 0x10000, AdminCompletion = 0x11000, Data = 0x100000;

    private readonly Dictionary<int, (int Tail, int Head, bool Phase)> _places = [];
    private ushort _next = 100;

    internal NvmeGuest(TestDisk? disk = null, IWorkerFactory? workers = null, DriveOptions? drive = null, int queues = 2)
    {
        Disk = disk ?? new TestDisk(4096);
        Controller = new NvmeController(Pci.Wires("nvme"), Disk, new NvmeOptions("serial 7", queues), drive ?? new DriveOptions { Discard = true }, Memory, workers ?? Workers);
        Pci.Bus.Add(Device, 0, Controller);
        Connect();
    }

    internal GuestMemory Memory { get; } = new([new MemoryRange(0, 8 << 20)]);

    internal PciTestMachine Pci { get; } = new();

    internal TestWorkers Workers { get; } = new();

    internal TestDisk Disk { get; }

    internal NvmeController Controller { get; }

    /// <summary>Called where the controller's workers are to have their turn.</summary>
    internal Action Wait { get; set; } = () => { };

    public void Dispose()
    {
        Controller.Dispose();
        Memory.Dispose();
    }

    internal void Connect()
    {
        Pci.Write(Device, 0x10, (uint)Registers);
        Pci.Write(Device, 0x14, 0);
        Pci.Write(Device, 0x20, (uint)Messages);
        Pci.Write(Device, 4, 6, 2);
        Wait = () => Workers.Run();
    }

    internal uint Read(int register) => Pci.ReadMemory(Registers + (ulong)register, 4);

    internal void Write(int register, uint value) => Pci.WriteMemory(Registers + (ulong)register, value);

    internal void Enable(int entries = Entries)
    {
        Write(0x24, (uint)((entries - 1) << 16 | (entries - 1)));
        Write(0x28, (uint)AdminSubmission);
        Write(0x2c, 0);
        Write(0x30, (uint)AdminCompletion);
        Write(0x34, 0);
        Memory.TryWrite(AdminCompletion, new byte[entries * 16]);
        _places.Clear();
        _places[0] = (0, 0, true);
        Write(0x14, 4 << 20 | 6 << 16 | 1);
    }

    /// <summary>As a driver begins: enabled, messages on, one pair of queues whose rings lie at 0x20000 and 0x30000 times their number.</summary>
    internal NvmeGuest Started()
    {
        Enable();
        for (var vector = 0; vector < 3; vector++)
        {
            Pci.WriteMemory(Messages + (ulong)(vector * 16), 0xfee0_0000);
            Pci.WriteMemory(Messages + (ulong)(vector * 16) + 8, (uint)(0x40 + vector));
            Pci.WriteMemory(Messages + (ulong)(vector * 16) + 12, 0);
        }
        Pci.Write(Device, Pci.Capability(Device, 0x11) + 2, 0x8000, 2);
        CreateQueues(1);
        return this;
    }

    internal void CreateQueues(int id, int entries = Entries)
    {
        Memory.TryWrite(Completions(id), new byte[entries * 16]);
        Check(Admin(0x05, prp1: Completions(id), word10: (uint)((entries - 1) << 16 | id), word11: (uint)(id << 16 | 3)));
        Check(Admin(0x01, prp1: Submissions(id), word10: (uint)((entries - 1) << 16 | id), word11: (uint)(id << 16 | 1)));
        _places[id] = (0, 0, true);
    }

    internal static ulong Submissions(int id) => id == 0 ? AdminSubmission : 0x20000ul * (ulong)id;

    internal static ulong Completions(int id) => id == 0 ? AdminCompletion : 0x30000ul * (ulong)id;

    internal (int Status, uint Value) Admin(byte opcode, uint ns = 0, ulong prp1 = 0, ulong prp2 = 0, uint word10 = 0, uint word11 = 0, uint word12 = 0) =>
        Do(0, opcode, ns, prp1, prp2, word10, word11, word12);

    internal (int Status, uint Value) Do(int queue, byte opcode, uint ns = 1, ulong prp1 = 0, ulong prp2 = 0, uint word10 = 0, uint word11 = 0, uint word12 = 0)
    {
        var id = Submit(queue, opcode, ns, prp1, prp2, word10, word11, word12);
        Wait();
        var (command, status, value) = Take(queue) ?? throw new InvalidOperationException("the command has no end");
        return command == id ? (status, value) : throw new InvalidOperationException("another command has ended");
    }

    /// <summary>Reads or writes blocks of 512 bytes.</summary>
    internal int Move(int queue, bool writes, uint block, int count, ulong prp1, ulong prp2 = 0) => Do(queue, (byte)(writes ? 1 : 2), 1, prp1, prp2, block, 0, (uint)(count - 1)).Status;

    /// <summary>Puts a command into its ring, and rings where it is asked to.</summary>
    internal ushort Submit(int queue, byte opcode, uint ns, ulong prp1, ulong prp2, uint word10, uint word11, uint word12, bool rings = true)
    {
        var command = new byte[64];
        var id = _next++;
        command[0] = opcode;
        BinaryPrimitives.WriteUInt16LittleEndian(command.AsSpan(2), id);
        BinaryPrimitives.WriteUInt32LittleEndian(command.AsSpan(4), ns);
        BinaryPrimitives.WriteUInt64LittleEndian(command.AsSpan(24), prp1);
        BinaryPrimitives.WriteUInt64LittleEndian(command.AsSpan(32), prp2);
        BinaryPrimitives.WriteUInt32LittleEndian(command.AsSpan(40), word10);
        BinaryPrimitives.WriteUInt32LittleEndian(command.AsSpan(44), word11);
        BinaryPrimitives.WriteUInt32LittleEndian(command.AsSpan(48), word12);
        var place = _places[queue];
        Memory.TryWrite(Submissions(queue) + (ulong)(place.Tail * 64), command);
        _places[queue] = place with { Tail = (place.Tail + 1) % Entries };
        if (rings) Write(0x1000 + (8 * queue), (uint)_places[queue].Tail);
        return id;
    }

    internal int TailOf(int queue) => _places[queue].Tail;

    /// <summary>Takes the next end of a command, and says so by the doorbell.</summary>
    internal (ushort Command, int Status, uint Value)? Take(int queue, bool rings = true)
    {
        var place = _places[queue];
        var entry = new byte[16];
        Memory.TryRead(Completions(queue) + (ulong)(place.Head * 16), entry);
        var last = BinaryPrimitives.ReadUInt32LittleEndian(entry.AsSpan(12));
        if ((last >> 16 & 1) != (place.Phase ? 1u : 0)) return null;
        place.Head = (place.Head + 1) % Entries;
        if (place.Head == 0) place.Phase = !place.Phase;
        _places[queue] = place;
        if (rings) Write(0x1004 + (8 * queue), (uint)place.Head);
        return ((ushort)last, (int)(last >> 17 & 0x7ff), BinaryPrimitives.ReadUInt32LittleEndian(entry));
    }

    internal byte[] Bytes(ulong address, int length)
    {
        var bytes = new byte[length];
        Memory.TryRead(address, bytes);
        return bytes;
    }

    private static void Check((int Status, uint Value) ended)
    {
        if (ended.Status != 0) throw new InvalidOperationException($"status 0x{ended.Status:x}");
    }
}
