// How fast guest code becomes host code: all code of an ELF file, block after block, by one thread. Prints for each round
// nanoseconds an instruction for decoding alone and for the whole (decode, analyse, emit, register), the first rounds being
// those of a program that has just started.
//   dotnet run -c Release [FILE [ROUNDS]]     FILE: the runtime's own libcoreclr.so unless another is named
using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Lamina.Core.Memory;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Runtime;
using Lamina.Engines.Translator.Settings;
using Lamina.Engines.X86.Cpuid;

var file = args.Length > 0 ? args[0] : Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "libcoreclr.so");
var rounds = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 5;
var code = ExecutablePart(File.ReadAllBytes(file));
var size = (ulong)(code.Length + 4095) & ~4095ul;
const ModeKey key = (ModeKey)Lamina.Engines.X86.Decode.CodeSize.Code64 | ModeKey.FlatAll | ModeKey.User | ModeKey.PositionIndependent | ModeKey.Sse | ModeKey.Avx | ModeKey.NativeTsc;

using var memory = new GuestMemory([new MemoryRange(0, size)]);
if (!memory.TryWrite(0, code)) throw new InvalidOperationException("the code does not fit");
var settings = new TranslatorSettings { CodeBufferBytes = TranslatorSettings.MostCodeBufferBytes };
var model = CpuModel.ForHost(new CpuModelOptions { TscHz = 1_000_000_000, VcpuCount = 1 });
for (var round = 1; round <= rounds; round++)
{
    var (decoded, decoding) = Decode();
    var before = GC.GetTotalMemory(forceFullCollection: true);
    using var store = new TranslationStore(memory, settings, model);
    var start = Stopwatch.GetTimestamp();
    for (var at = 0ul; at < (ulong)code.Length;)
    {
        var block = store.Translate(new BlockIdentity(at, 0, 0, key), at, linear => (linear & ~4095ul) + 4096 is var next && next < size ? next : ulong.MaxValue);
        at += (ulong)Math.Max(block?.Length ?? 1, 1);
    }
    var whole = Stopwatch.GetElapsedTime(start);
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"round {round}: decode {decoding.TotalNanoseconds / decoded:0} ns an instruction, all {whole.TotalNanoseconds / store.InstructionsTranslated:0} ns; {store.InstructionsTranslated} instructions in {store.BlocksTranslated} blocks, {(double)store.Buffer.Used / store.InstructionsTranslated:0.0} bytes of code each, {(double)(GC.GetTotalMemory(forceFullCollection: true) - before) / store.InstructionsTranslated:0.0} on the managed heap"));
}

unsafe (int Count, TimeSpan Time) Decode()
{
    var block = new GuestBlock(model.InstructionSet);
    var page = (byte*)memory.HostBase;
    var count = 0;
    var start = Stopwatch.GetTimestamp();
    for (var at = 0; at < code.Length;)
    {
        var next = (at & ~4095) + 4096;
        block.Read(new CodeSource { Page = page + (at & ~4095), NextPage = (ulong)next < size ? page + next : null, Offset = at & 4095 }, key, GuestBlock.MaxInstructions);
        count += block.Count;
        at += Math.Max(block.Length, 1);
    }
    return (count, Stopwatch.GetElapsedTime(start));
}

// The executable segment of an ELF file of 64 bits (ELF-64 object file format, program header).
static byte[] ExecutablePart(byte[] elf)
{
    const int headersAt = 32, headerSizeAt = 54, countAt = 56, load = 1, executable = 1;
    var at = (int)BinaryPrimitives.ReadUInt64LittleEndian(elf.AsSpan(headersAt));
    int size = BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(headerSizeAt)), count = BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(countAt));
    for (var i = 0; i < count; i++)
    {
        var header = elf.AsSpan(at + i * size, size);
        if (BinaryPrimitives.ReadInt32LittleEndian(header) != load || (BinaryPrimitives.ReadInt32LittleEndian(header[4..]) & executable) == 0) continue;
        return elf.AsSpan((int)BinaryPrimitives.ReadUInt64LittleEndian(header[8..]), (int)BinaryPrimitives.ReadUInt64LittleEndian(header[32..])).ToArray();
    }
    throw new InvalidDataException("the file has no executable segment");
}
