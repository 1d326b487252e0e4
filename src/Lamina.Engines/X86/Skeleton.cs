using Lamina.Core.Engine;
using Lamina.Engines.Translator.Decode;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private const uint ShadowMovSs = 2;
    private readonly Msr.ParavirtualClock _paravirtualClock;
    public Outcome Execute(in Instruction instruction) => throw new NotImplementedException();
    public Outcome DeliverFault() => throw new NotImplementedException();
    public Outcome DeliverInterrupt(int vector, InterruptKind kind) => throw new NotImplementedException();
    public void Reset() { }
    public void Load(VcpuState state) => throw new NotImplementedException();
    public void Save(VcpuState state) => throw new NotImplementedException();
}
