// Instructions that generated code leaves to the executor: system instructions, and string instructions whose pages are not in the tables.
using Lamina.Core.Engine;
using Lamina.Core.Logging;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Emit;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Memory;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe partial class TranslatorVcpu
{
    private bool HandleSystem(Block block, in Site site)
    {
        // Its entry was there before the block was, and stays where it is until all is dropped, which this vCPU is parked for.
        ref readonly var instruction = ref _store.Buffer.SystemInstructions[site.Target];
        _systemCounts[(int)instruction.Id]++;
        if (instruction.Id == InstructionId.Invlpg && BlockEmitter.InvalidatesByStub(_key, instruction)) return HandleInvalidation(block, site, instruction);
        if (!_processor.TryCheckState(instruction.State)) return DeliverFault();
        if (instruction.Id is InstructionId.Movs or InstructionId.Stos && TryFillForString(instruction))
        {
            // The stub found a page that was not in the tables; now it is: call it again.
            _resume = _area->ExitAddress - 5;
            return true;
        }
        NoteLooks(instruction.Id);
        var rip = _cpu->Rip;
        var input = CpuidAnswers.InputOf(_cpu);
        var outcome = _processor.Execute(instruction);
        if (instruction.Id == InstructionId.Cpuid) Answers.Note(input, _cpu);
        if (instruction.Id is InstructionId.Fxrstor or InstructionId.Xrstor or InstructionId.X87Environment) _vectorsRaw = true;
        _area->HostFlags = Park(_cpu->ArithmeticFlags);
        if (!_processor.KeepVectorsLoadable())
        {
            // A mistake of ours that the way back into generated code would fault at: the instruction is refused instead.
            _log.Trace(LogEvent.Fault, $"{instruction.Id} at {_cpu->Cs.Selector:x}:{rip:x} left vector state that the processor does not take");
            _cpu->Rip = rip;
            return DeliverFault();
        }
        switch (outcome)
        {
            case Outcome.Next:
                // What it stored may have been the block's own code.
                if (!_modeStale && _generation == _store.Generation && block.Valid) _resume = _area->ExitAddress;
                // STI holds interrupts off for one instruction, which must be reached without a look at them.
                if (BlockEnds.EndsBlock(instruction) || instruction.Id == InstructionId.Sti) _resume = 0;
                break;
            case Outcome.Branched:
                break;
            case Outcome.Halted:
                _events.Activity = VcpuActivity.Halted;
                break;
            case Outcome.Shutdown:
                return false;
            case Outcome.Fault:
                return DeliverFault();
        }
        var stepped = _resume == 0 && (_key & ModeKey.SingleStep) != 0;
        return !(stepped || _processor.HasPendingTraps) || FinishStep();
    }

    /// <summary>IN and OUT that need no leave: generated code goes on with them where it left, with its flags as they were.</summary>
    private bool HandlePort(Block block, in Site site)
    {
        _systemCounts[(int)(site.Reads ? InstructionId.In : InstructionId.Out)]++;
        var port = site.Target >= 0 ? site.Target : (ushort)_cpu->Gpr[GprIndex.Rdx];
        if (site.Reads) _processor.Input((ushort)port, site.Size);
        else _processor.Output((ushort)port, site.Size);
        _processor.GoOnAt(RipOf(block, site.Copy));
        GoOnBehind(block);
        return !_processor.HasPendingTraps || FinishStep();
    }

    /// <summary>
    /// INVLPG that the stub left, with its linear address in scratch 0 and flags parked. Where no way to code was forgotten, generated code
    /// goes on with it; else what lies behind it may be elsewhere now.
    /// </summary>
    private bool HandleInvalidation(Block block, in Site site, in Instruction instruction)
    {
        var linear = _area->Scratch0;
        // An address that is not canonical invalidates nothing. SDM vol. 2, INVLPG.
        var codeStays = !Canonical(linear) || Invalidate(linear);
        _processor.GoOnAt(RipOf(block, site.GuestOffset + instruction.Length));
        if (codeStays) GoOnBehind(block);
        return !_processor.HasPendingTraps || FinishStep();
    }

    // In generated code, behind the instruction that left.
    private void GoOnBehind(Block block)
    {
        if (_modeStale || _generation != _store.Generation || !block.Valid) return;
        _resume = _area->ExitAddress;
        _goesOn = true;
    }

    // Where stubs have looked into the tables by themselves before they left it to the executor.
    private void NoteLooks(InstructionId id)
    {
        if (id is InstructionId.Movs or InstructionId.Stos)
        {
            _region.NoteLook(_cpu->Gpr[GprIndex.Rsi]);
            _region.NoteLook(_cpu->Gpr[GprIndex.Rdi]);
        }
        else if (id == InstructionId.Iret)
        {
            _region.NoteLook(_cpu->Gpr[GprIndex.Rsp]);
            _region.NoteLook(_cpu->GdtrBase);
        }
    }

    /// <summary>Fills the tables for the pages at the index registers of MOVS or STOS that a stub does. False where that does not help.</summary>
    private bool TryFillForString(in Instruction instruction)
    {
        if (!BlockEmitter.MovesByStub(_key, instruction) || _cpu->ExitRequest != 0 || (_cpu->SystemFlags & Rflags.DF) != 0) return false;
        var mask = _key.IsLong() ? ulong.MaxValue : uint.MaxValue;
        var size = instruction.OperandSize;
        return (instruction.Id == InstructionId.Stos || TryFillPage(_cpu->Gpr[GprIndex.Rsi] & mask, size, AccessKind.Read))
            && TryFillPage(_cpu->Gpr[GprIndex.Rdi] & mask, size, AccessKind.Write);
    }

    private bool TryFillPage(ulong linear, int size, AccessKind kind)
    {
        if (!Canonical(linear) || !InOnePage(linear, size) || _processor.WatchesDataPage(linear)) return false;
        if (!_processor.TryTranslate(linear, kind, _cpu->Cpl == 3, out var page) || !_store.Pages.IsMemory(page.PhysicalPage)) return false;
        if (kind == AccessKind.Write && !_store.Rights.TryOpen(page.PhysicalPage)) return false;
        Fill(linear, page, kind == AccessKind.Write);
        return true;
    }
}
